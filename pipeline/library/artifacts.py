"""Artifacts by path, key or experiment, and the runs that they are of."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.dag import STAGES, dag
from stages.errors import DwfError, UsageError, did_you_mean
from stages.store.artifact import FOLDERS, MANIFEST, artifact_path, find, read_latest, read_manifest
from stages.store.refs import Ref

SHORTEST = 4
"""Characters of a key from which on its beginning is enough."""


def artifact_at(name: Path | str, store: Path) -> Path:
    """The folder of the artifact that is meant: by its path, by the beginning of its key, or by its experiment's name.

    The path of a whole store, or an experiment's name, means the last artifact there, or of it, that is furthest along
    the dag. Raises UsageError if there is none, or several.
    """
    path = Path(name)
    if (path / MANIFEST).exists():
        return path.absolute()
    if path.is_dir() and (last := _last(path.absolute())):
        return last
    found = {p for stage in STAGES for p in (store / FOLDERS[stage]).glob(f"{name}*") if (p / MANIFEST).exists()}
    if len(str(name)) >= SHORTEST and len(found) == 1:
        return found.pop()
    if len(str(name)) >= SHORTEST and found:
        raise UsageError(f"{name}: begins the keys of {len(found)} artifacts below {store}; give more of the key")
    if last := _last(store, str(name)):
        return last
    known = {experiment for stage in STAGES for _, experiment, _ in read_latest(store, stage)}
    there = f"; experiments there: {', '.join(sorted(known))}" if known else ""
    near = did_you_mean(str(name), known)
    raise UsageError(f"{name}: neither an artifact's path, key nor experiment below {store}{there}{near}")


def _last(store: Path, experiment: str | None = None) -> Path | None:
    """The last artifact, of an experiment if one is named, of the furthest stage that has any."""
    for stage in reversed(STAGES):
        for _, name, key in reversed(read_latest(store, stage)):
            if experiment in (None, name) and find(store, stage, key):
                return artifact_path(store, stage, key)
    return None


def lineage(artifact: Path) -> dict[str, Ref]:
    """The artifacts that one was made from, and itself, by stage in the order of the dag.

    Raises NotComplete if it isn't finished, DwfError naming one that is missing.
    """
    refs = {ref.stage: ref for ref in _upstream(artifact)}
    return {stage: refs[stage] for stage in STAGES if stage in refs}


def _upstream(artifact: Path) -> Iterator[Ref]:
    manifest, root = read_manifest(artifact), artifact.parent.parent
    yield Ref(stage=manifest.stage, key=manifest.key, path=artifact, digest=manifest.digest)
    for name, key in manifest.upstream.items():
        stage = INPUTS[name]
        if not find(root, stage, key):
            raise DwfError(f"{artifact}: was made from {stage} {key}, which isn't below {root} any more; run it again")
        yield from _upstream(artifact_path(root, stage, key))


def _inputs() -> Mapping[str, str]:
    """What stages call their inputs -> the stage that makes them."""
    names: dict[str, str] = {}

    def call(stage: str, /, **upstream: str) -> str:
        names.update(upstream)
        return stage

    dag(call)
    return names


INPUTS = _inputs()
