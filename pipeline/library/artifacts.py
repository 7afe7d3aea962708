"""Artifacts by path, key or experiment, and the runs that they are of."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.artifact_names import resolve
from pipeline.dag import STAGES, dag
from stages.errors import DwfError
from stages.store.artifact import FOLDERS, artifact_path, find, read_latest, read_manifest
from stages.store.refs import Ref


def artifact_at(name: Path | str, store: Path) -> Path:
    """The folder of the artifact that is meant, by what `dwf show` takes or, for its last report, by a store's path.

    Raises UsageError if there is none, or several, DwfError if a stage has none.
    """
    path = Path(name)
    if path.is_dir() and any((path / folder).is_dir() for folder in FOLDERS.values()):
        last = next((stage for stage in reversed(STAGES) if read_latest(path, stage)), STAGES[-1])
        return resolve(last, path.absolute())
    return resolve(str(name), store, STAGES)


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
