"""The lineage of an artifact: everything that it was made from."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.dag import STAGES, dag
from stages.errors import NotComplete
from stages.store.artifact import artifact_path, read_manifest


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


def _inputs() -> Mapping[str, str]:
    """What stages call their inputs -> the stage that makes them."""
    names: dict[str, str] = {}

    def call(stage: str, /, **upstream: str) -> str:
        names.update(upstream)
        return stage

    dag(call)
    return names


INPUTS = _inputs()
