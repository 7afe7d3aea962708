"""Leftovers of a store: artifacts that nothing reaches, and files of processes that were killed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.gc.reached import Keys
from pipeline.listing import Listed
from pipeline.run_records import RUNS
from stages.store.artifact import EARLIER_FOLDERS, FOLDERS
from stages.store.files import size_on_disk

TRASH = ".trash"
"""Suffix of what is being deleted: nobody takes it for an artifact, and what a kill leaves the next gc deletes."""
UNREACHED = "reached by no configuration and no recent run"


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go: how large it is in bytes, since when it is there (UTC), and why it can go."""

    path: Path
    stage: str
    key: str
    """Of the artifact that it is, or is a part of; empty for other files."""
    experiment: str
    created: str
    size: int
    why: str


def leftovers(root: Path, artifacts: Sequence[Listed], kept: Keys) -> list[Leftover]:
    """What can go if of these artifacts, finished or not, `kept` stay; in the order of the dag."""
    finished = {(a.stage, a.key) for a in artifacts if a.complete}
    found = [_artifact(a) for a in artifacts if _can_go(a, kept, finished)]
    return [*found, *_of_an_earlier_release(root), *_cut_short(root)]


def _can_go(artifact: Listed, kept: Keys, finished: Keys) -> bool:
    """Half done work stays where a run would go on with it."""
    item = (artifact.stage, artifact.key)
    return item not in kept or (artifact.path.suffix == ".partial" and item in finished)


def _artifact(artifact: Listed) -> Leftover:
    created = artifact.created or _changed(artifact.path)
    why = ", ".join(filter(None, (artifact.problem, UNREACHED)))
    return Leftover(artifact.path, artifact.stage, artifact.key, artifact.experiment, created, artifact.size, why)


def _of_an_earlier_release(root: Path) -> Iterator[Leftover]:
    for stage, name in EARLIER_FOLDERS.items():
        for path in sorted((root / name).glob("*")):
            if path.is_dir() and re.fullmatch(r"[0-9a-f]+(\.partial)?", path.name):
                yield _other(path, stage, "of release 0.1, whose folder nothing reads any more")


def _cut_short(root: Path) -> Iterator[Leftover]:
    """What a killed process was writing, or deleting. Within a half done artifact it is for the next run to say."""
    folders = store_folders(root)
    for folder in (*folders, root / RUNS, root):
        paths = [path for pattern in ("*.tmp", f"*{TRASH}") for path in sorted(folder.glob(pattern))]
        yield from (_other(path, folders.get(folder, ""), "left by a process that was killed") for path in paths)


def store_folders(root: Path) -> dict[Path, str]:
    """The folders of artifacts, those of an earlier release too, and their stages."""
    return {root / name: stage for names in (FOLDERS, EARLIER_FOLDERS) for stage, name in names.items()}


def _other(path: Path, stage: str, why: str) -> Leftover:
    return Leftover(path, stage, "", "", _changed(path), size_on_disk(path), why)


def _changed(path: Path) -> str:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
