"""Artifacts by path, key or experiment, and the runs that they are of."""

from pathlib import Path

from pipeline.artifact_names import resolve
from pipeline.dag import STAGES
from pipeline.lineage import lineage
from stages.errors import DwfError
from stages.store.artifact import FOLDERS, find, read_latest
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


def made_from(artifact: Path) -> dict[str, Ref]:
    """The artifacts that one was made from, and itself, by stage in the order of the dag.

    Raises NotComplete if it isn't finished, DwfError naming one that is missing.
    """
    refs = dict[str, Ref]()
    for stage, path in lineage(artifact).items():
        if (ref := find(path.parent.parent, stage, path.name)) is None:
            where = f"{stage} {path.name}, which isn't below {path.parent.parent} any more"
            raise DwfError(f"{artifact}: was made from {where}; run it again")
        refs[stage] = ref
    return refs
