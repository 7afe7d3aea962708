"""Records what a program does to the files below a folder, in order, and what of it is asked to be durable."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Node = int
"""Number of a file or folder, whatever its name; no number is given twice."""
ROOT: Node = 0
NAMING = ("rename", "replace", "link", "unlink", "remove", "rmdir")
"""Functions of `os` that change names; pathlib, shutil and Zarr's store go through them."""
RACY = 10**8
"""Nanoseconds within which a file may be written again without another modification time."""


@dataclass(frozen=True)
class Name:
    """A name in a folder and what it stands for from now on; None: nothing."""

    folder: Node
    name: str
    node: Node | None


@dataclass(frozen=True)
class Names:
    """Names that change together, as both of a rename do."""

    changes: tuple[Name, ...]


@dataclass(frozen=True)
class Data:
    """What a file holds from now on."""

    file: Node
    content: bytes


@dataclass(frozen=True)
class Sync:
    """The content of a file, or the names in a folder, are made durable."""

    node: Node


@dataclass(frozen=True)
class Done:
    """Something is reported as finished: it must never be lost again."""

    what: str


Step = Names | Data | Sync | Done


@dataclass
class Record:
    """Steps in order, and which nodes are folders. The first `before` steps are what was there already, durable."""

    root: Path
    steps: list[Step] = field(default_factory=list)
    folders: set[Node] = field(default_factory=lambda: {ROOT})
    before: int = 0

    def done(self, what: str) -> None:
        """Note that something is finished."""
        self.steps.append(Done(what))


@dataclass
class _Looker:
    """Compares the folder with what it was at the last look, so that writes of any library, in any language, are seen.

    Between two calls of Python's `os` their order isn't known: nothing in there is durable before the next sync, so
    that a crash may reorder it anyway. Renames, unlinks and syncs that aren't Python's would be missed.
    """

    record: Record
    nodes: dict[int, Node] = field(default_factory=dict)
    """Of each inode."""
    names: dict[Node, dict[str, Node]] = field(default_factory=dict)
    """Of each folder, at the last look."""
    contents: dict[Node, tuple[tuple[int, int, bool], bytes]] = field(default_factory=dict)
    """Of each file: size, modification time, whether it was settled when it was read; and what it held."""
    count: int = ROOT

    def look(self, together: bool = False) -> None:
        """Add what has changed to the record; changed names as one step if `together`."""
        changes: list[Name] = []
        written: list[Data] = []
        names: dict[Node, dict[str, Node]] = {}
        inodes = {self.record.root.stat().st_ino: ROOT}
        self._look_into(self.record.root, ROOT, inodes, names, written)
        for folder, now in names.items():
            earlier = self.names.get(folder, {})
            changes += [Name(folder, name, None) for name in earlier if name not in now]
            changes += [Name(folder, name, node) for name, node in now.items() if earlier.get(name) != node]
        steps = [Names(tuple(changes))] if together and changes else [Names((change,)) for change in changes]
        self.record.steps += [*steps, *written]
        self.nodes, self.names = inodes, names

    def _look_into(
        self, path: Path, folder: Node, inodes: dict[int, Node], names: dict[Node, dict[str, Node]], written: list[Data]
    ) -> None:
        found = names.setdefault(folder, {})
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                facts = entry.stat(follow_symlinks=False)
                if facts.st_ino not in inodes:
                    inodes[facts.st_ino] = self.nodes.get(facts.st_ino) or self._number()
                node = found[entry.name] = inodes[facts.st_ino]
                if entry.is_dir():
                    self.record.folders.add(node)
                    self._look_into(Path(entry.path), node, inodes, names, written)
                else:
                    written += self._read(Path(entry.path), node, facts)

    def _number(self) -> Node:
        self.count += 1
        return self.count

    def _read(self, path: Path, file: Node, facts: os.stat_result) -> Iterator[Data]:
        """What the file holds, if that is news."""
        state, before = (facts.st_size, facts.st_mtime_ns, True), self.contents.get(file)
        if before and before[0] == state:
            return
        settled = time.time_ns() - facts.st_mtime_ns > RACY
        content = path.read_bytes()
        self.contents[file] = (*state[:2], settled), content
        if content != (before[1] if before else b""):
            yield Data(file, content)


@contextmanager
def recorded(root: Path) -> Iterator[Record]:
    """A record of what the block does below a folder, which is there already."""
    record = Record(root)
    looker, lock = _Looker(record), threading.RLock()
    looker.look()
    record.steps += [Sync(node) for node in (ROOT, *looker.nodes.values())]
    record.before = len(record.steps)

    def naming(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with lock:
                looker.look()
                try:
                    return real(*args, **kwargs)
                finally:
                    looker.look(together=True)

        return call

    def sync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        with lock:
            looker.look()
            real(descriptor)
            if (node := looker.nodes.get(os.fstat(descriptor).st_ino)) is not None:
                record.steps.append(Sync(node))

    with pytest.MonkeyPatch.context() as patch:
        for name in NAMING:
            patch.setattr(os, name, naming(getattr(os, name)))
        patch.setattr(os, "fsync", sync)
        patch.setattr(os, "fdatasync", sync)
        yield record
    looker.look()
