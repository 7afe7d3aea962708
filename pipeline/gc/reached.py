"""Artifacts that must stay in a store: all that configurations, recent runs and running ones reach."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact_names import keys
from pipeline.config import NoSections, load, read
from pipeline.configurations import ENDINGS
from pipeline.dag import STAGES
from pipeline.lineage import INPUTS
from pipeline.run_records import RunRecord, records, running
from pipeline.runner import Runner
from pipeline.sweep.points import points_of
from pipeline.sweep.spec import read_sweep
from stages.errors import DwfError, NotComplete
from stages.store.artifact import artifact_path, last_artifact
from stages.store.manifest import read_manifest

Keys = set[tuple[str, str]]
"""Stage and key of each of some artifacts."""
SECTIONS = {*STAGES, "base"}
"""A YAML file that has none of these is no configuration."""
USUAL = (Path("conf"), Path())
"""Where configurations are looked for if nothing is said: all of `conf/`, and the current folder's own files."""


@dataclass(frozen=True)
class Configured:
    """What configurations reach, and those of which it can't be told, with the reason."""

    keys: Keys
    unreadable: dict[Path, str]


def configuration_files(folders: Sequence[Path] = ()) -> list[Path]:
    """The YAML files in and below some folders, or in the usual places."""
    globs = [(folder, "**/*") for folder in folders] or [(USUAL[0], "**/*"), (USUAL[1], "*")]
    return sorted({file for folder, glob in globs for end in ENDINGS for file in folder.glob(f"{glob}{end}")})


def configured(files: Iterable[Path], root: Path) -> Configured:
    """What configurations and sweeps reach as they are now, on the sources as they are now."""
    found = Configured(set(), {})
    for file in files:
        try:
            found.keys.update(_keys(file, root))
        except NoSections:  # something else that is written in YAML
            pass
        except DwfError as error:
            found.unreadable[file] = str(error).splitlines()[0]
    return found


def _keys(file: Path, root: Path) -> Iterator[tuple[str, str]]:
    _, values = read(file)
    if "base" in values:
        yield from (item for point in points_of(read_sweep(file), (), root) for item in point.keys.items())
    elif SECTIONS & values.keys():
        experiment = load(file, (), root)
        try:
            yield from ((step.stage, step.key) for step in Runner(experiment).steps().values())
        except DwfError:  # the files that it imports aren't there; what it made of them is
            last = ((stage, last_artifact(root, stage, experiment.name)) for stage in STAGES)
            yield from ((stage, path.name) for stage, path in last if path)


def recent(root: Path, count: int) -> tuple[list[RunRecord], list[RunRecord]]:
    """The records of the last runs and of those that are running, and all earlier ones."""
    every, alive = records(root), running(root)
    kept = [record for i, record in enumerate(every) if i < count or record.name in alive]
    return kept, [record for record in every if record not in kept]


def with_upstream(root: Path, reached: Keys) -> Keys:
    """These artifacts, all that they were made from, and the pages of sweeps that have one of them as a point."""
    kept, todo = set[tuple[str, str]](), list(reached)
    while todo:
        if (item := todo.pop()) not in kept:
            kept.add(item)
            todo += ((INPUTS[name], key) for name, key in _upstream(root, *item).items() if name in INPUTS)
    pages = {("sweep", key) for stage, key in keys(root) if stage == "sweep"}
    return kept | {page for page in pages if kept & {("evaluate", key) for key in _upstream(root, *page).values()}}


def _upstream(root: Path, stage: str, key: str) -> dict[str, str]:
    try:
        return read_manifest(artifact_path(root, stage, key)).upstream
    except NotComplete:
        return {}
