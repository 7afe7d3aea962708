"""Artifacts of a store, finished or not, as `dwf ls` lists them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact_names import keys
from stages.errors import NotComplete
from stages.store.artifact import FOLDERS, artifact_path, find, read_latest
from stages.store.files import size_on_disk
from stages.store.manifest import read_manifest

UNNAMED = ""
"""Stands for the experiment of what has no readable manifest."""


@dataclass(frozen=True)
class Listed:
    """One artifact: who made it, when (UTC), how large it is in bytes, and what is wrong with it, if anything."""

    stage: str
    key: str
    path: Path
    experiment: str
    created: str | None
    size: int
    complete: bool
    problem: str = ""
    latest_of: tuple[str, ...] = ()
    """Experiments whose last artifact of this stage it is."""

    @property
    def experiments(self) -> set[str]:
        """Experiments that it belongs to: the one that made it, and those that reused it last."""
        return {self.experiment, *self.latest_of}


def listing(root: Path, stages: Sequence[str] = tuple(FOLDERS)) -> list[Listed]:
    """Every artifact of some stages below a root, in the order of the dag, then of their age."""
    wanted = [(stage, key) for stage, key in keys(root) if stage in stages]
    last = {stage: read_latest(root, stage) for stage in stages}
    found = [_listed(root, stage, key, [name for _, name, k in last[stage] if k == key]) for stage, key in wanted]
    return sorted([*found, *_half_done(root, stages)], key=lambda a: (list(FOLDERS).index(a.stage), a.created or ""))


def _listed(root: Path, stage: str, key: str, latest_of: Sequence[str]) -> Listed:
    path = artifact_path(root, stage, key)
    try:
        manifest = read_manifest(path)
        complete = find(root, stage, key) is not None
    except NotComplete as error:
        reason = str(error).removeprefix(f"{path}").lstrip("/: ")
        return Listed(stage, key, path, UNNAMED, None, size_on_disk(path), False, reason, tuple(latest_of))
    size = sum(facts.size for facts in manifest.files.values())
    problem = "" if complete else "files are missing or truncated"
    return Listed(stage, key, path, manifest.experiment, manifest.created, size, complete, problem, tuple(latest_of))


def _half_done(root: Path, stages: Sequence[str]) -> Iterator[Listed]:
    for stage in stages:
        for path in sorted((root / FOLDERS[stage]).glob("*.partial")):
            yield Listed(stage, path.stem, path, UNNAMED, None, size_on_disk(path), False, "half done")


def sizes(artifacts: Sequence[Listed]) -> dict[str, int]:
    """The bytes of all artifacts of each stage that has any, in the order of the dag."""
    sums = {stage: sum(artifact.size for artifact in artifacts if artifact.stage == stage) for stage in FOLDERS}
    return {stage: size for stage, size in sums.items() if size}


def by_experiment(artifacts: Sequence[Listed]) -> dict[str, list[Listed]]:
    """The artifacts of each experiment, the one that was busy last first; shared ones stand in several."""
    names = {name for artifact in artifacts for name in artifact.experiments}
    groups = {name: [a for a in artifacts if name in a.experiments] for name in names if name != UNNAMED}
    groups = dict(sorted(groups.items(), key=lambda g: (max(a.created or "" for a in g[1]), g[0]), reverse=True))
    rest = [a for a in artifacts if a.experiments == {UNNAMED}]
    return groups | ({UNNAMED: rest} if rest else {})
