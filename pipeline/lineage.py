"""The lineage of an artifact: everything that it was made from."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.dag import STAGES, dag
from stages.errors import Damaged, NotComplete
from stages.store.artifact import artifact_path
from stages.store.manifest import Manifest, read_manifest
from stages.store.verify import verify


def lineage(artifact: Path) -> dict[str, Path]:
    """Stage -> folder of a finished artifact and of what it was made from, in the dag's order, there or gone.

    What one that is gone was made from isn't known. Raises NotComplete if the artifact itself isn't finished.
    """
    manifest, root = read_manifest(artifact), artifact.parent.parent
    found = {manifest.stage: artifact}
    for name, key in manifest.upstream.items():
        path = artifact_path(root, INPUTS[name], key)
        try:
            found |= lineage(path)
        except NotComplete:
            found[INPUTS[name]] = path
    return {stage: found[stage] for stage in STAGES if stage in found}


def damages(artifact: Path) -> dict[Path, list[str]]:
    """What is wrong with an artifact and with everything that it was made from, a line each, by their folders.

    Raises NotComplete if the artifact itself isn't finished.
    """
    found: dict[Path, list[str]] = {}
    digests: dict[str, str] = {}
    for path in lineage(artifact).values():  # in the dag's order: what was made from something comes after it
        try:
            manifest, found[path] = verify(path)
        except NotComplete as error:
            found[path] = [str(error)]
            continue
        digests[manifest.key] = manifest.digest
        found[path] += _made_from_others(manifest, digests)
    return found


def require_sound_lineage(artifact: Path) -> dict[Path, Manifest]:
    """The manifests of an artifact and of everything that it was made from, by their folders, if nothing is wrong.

    Raises Damaged with every problem otherwise, and NotComplete if the artifact itself isn't finished.
    """
    found = damages(artifact)
    if any(found.values()):
        raise Damaged("\n".join(f"{path}: {'; '.join(lines)}" for path, lines in found.items() if lines))
    return {path: read_manifest(path) for path in found}


def _made_from_others(manifest: Manifest, digests: Mapping[str, str]) -> list[str]:
    """A line for each thing that isn't any more what this artifact was made from."""
    return [
        f"made from {INPUTS[name]} {key} of digest {then[:12]}, which is now {now[:12]}"
        for name, key in manifest.upstream.items()
        if (then := manifest.upstream_digests.get(name)) and (now := digests.get(key)) and then != now
    ]


def _inputs() -> Mapping[str, str]:
    """What stages call their inputs -> the stage that makes them."""
    names: dict[str, str] = {}

    def call(stage: str, /, **upstream: str) -> str:
        names.update(upstream)
        return stage

    dag(call)
    return names


INPUTS = _inputs()
