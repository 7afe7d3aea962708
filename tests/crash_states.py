"""What may be left below a folder once the power is cut: every state that POSIX allows for a recorded run."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from crash_recorder import ROOT, Data, Done, Names, Node, Record, Sync

Tree = frozenset[tuple[str, bytes | None]]
Torn = Callable[[bytes], bytes]
"""What becomes of written bytes that never were asked to be durable."""


@lru_cache(maxsize=4096)
def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@lru_cache(maxsize=4096)
def _zeros(content: bytes) -> bytes:
    return bytes(len(content))


@lru_cache(maxsize=4096)
def _hole(content: bytes) -> bytes:
    return bytes(len(content) // 2) + content[len(content) // 2 :]


TORN: tuple[Torn, ...] = (_half, _zeros, _hole)
"""Besides nothing of it, which is what a file holds that never was written."""


@dataclass(frozen=True)
class State:
    """Files with what they hold, and folders with None, by path below the root."""

    step: int
    """How many steps of the record came before the crash."""
    tree: Mapping[str, bytes | None]

    @cached_property
    def files(self) -> Tree:
        """The same, to be compared."""
        return frozenset(self.tree.items())

    def below(self, path: str) -> Mapping[str, bytes | None]:
        """What lies below a folder, by path within it."""
        return {name.removeprefix(f"{path}/"): held for name, held in self.tree.items() if name.startswith(f"{path}/")}

    def write(self, root: Path, below: str = "") -> None:
        """Make it so below an empty folder, or that part of it which lies below a path."""
        for name, content in (self.below(below) if below else self.tree).items():
            if content is None:
                (root / name).mkdir(parents=True, exist_ok=True)
            else:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)


@dataclass
class _Crash:
    """A crash after the first `stop` steps: which of them are durable, and which are pending."""

    history: "History"
    stop: int
    durable: frozenset[int]

    @cached_property
    def pending(self) -> list[int]:
        """Steps that may be lost, in order."""
        steps = self.history.record.steps
        return [i for i in range(self.stop) if isinstance(steps[i], Names | Data) and i not in self.durable]

    def state(self, chosen: frozenset[int] | set[int], torn: Mapping[int, Torn] | None = None) -> State:
        """What is left if of the pending steps the `chosen` ones were done, those that build on lost ones left out."""
        done, names, contents = set(self.durable), dict[Node, dict[str, Node]](), dict[Node, bytes]()
        for i in sorted(self.durable | chosen):
            if not self.history.needs[i] <= done:
                continue
            done.add(i)
            match self.history.record.steps[i]:
                case Names(changes):
                    for change in changes:
                        folder = names.setdefault(change.folder, {})
                        folder.pop(change.name, None)
                        if change.node is not None:
                            folder[change.name] = change.node
                case Data(file, content):
                    contents[file] = torn[i](content) if torn and i in torn else content
        return State(self.stop, dict(self._tree(names, contents, ROOT, "")))

    def _tree(
        self, names: dict[Node, dict[str, Node]], contents: dict[Node, bytes], folder: Node, path: str
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, node in names.get(folder, {}).items():
            if node in self.history.record.folders:
                yield path + name, None
                yield from self._tree(names, contents, node, f"{path}{name}/")
            else:
                yield path + name, contents.get(node, b"")

    def killed(self) -> Iterator[State]:
        """No power cut, only a kill: nothing is lost."""
        yield self.state(set(self.pending))

    def reordered(self, draw: random.Random, bound: int) -> Iterator[State]:
        """Nothing that isn't durable; all names but only parts of contents; all but one step; one step alone; and any
        steps, torn or not: `bound` states of each kind at most.
        """
        steps, everything = self.history.record.steps, set(self.pending)
        written = [i for i in self.pending if isinstance(steps[i], Data)]
        yield self.state(set())
        yield self.state(everything - set(written))
        for how in TORN:
            yield self.state(everything, dict.fromkeys(written, how))
        for i in _some(self.pending, draw, bound):
            yield self.state(everything - {i})
            yield self.state(self.history.all_needs(i) | {i})
        for i in _some(written, draw, bound):
            yield from (self.state(everything, {i: how}) for how in TORN)
        for _ in range(bound):
            share = draw.random()
            chosen = {i for i in self.pending if draw.random() < share}
            yield self.state(chosen, {i: draw.choice(TORN) for i in written if draw.random() < share / 2})


def _some(steps: list[int], draw: random.Random, bound: int) -> list[int]:
    return steps if len(steps) <= bound else draw.sample(steps, bound)


@dataclass
class History:
    """A record with what each step builds on: the last one before it that changed the same names or the same file."""

    record: Record
    needs: list[frozenset[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        last: dict[tuple[Node, str], int] = {}
        for i, step in enumerate(self.record.steps):
            match step:
                case Names(changes):
                    touched = [(change.folder, change.name) for change in changes]
                case Data(file):
                    touched = [(file, "")]
                case _:
                    touched = []
            self.needs.append(frozenset(last[place] for place in touched if place in last))
            last |= dict.fromkeys(touched, i)

    def all_needs(self, i: int) -> set[int]:
        """Whatever a step builds on, directly or not."""
        found, todo = set[int](), [*self.needs[i]]
        while todo:
            if (need := todo.pop()) not in found:
                found.add(need)
                todo += self.needs[need]
        return found

    def crashes(self) -> Iterator[_Crash]:
        """After every step of the run, from before the first one on."""
        durable, places = set[int](), dict[Node, list[int]]()
        for i, step in enumerate(self.record.steps):
            if i >= self.record.before:
                yield _Crash(self, i, frozenset(durable))
            match step:
                case Names(changes):
                    for folder in {change.folder for change in changes}:
                        places.setdefault(folder, []).append(i)
                case Data(file):
                    places.setdefault(file, []).append(i)
                case Sync(node):
                    for j in places.pop(node, []):
                        durable |= self.all_needs(j) | {j}
        yield _Crash(self, len(self.record.steps), frozenset(durable))

    def finished(self, state: State) -> list[str]:
        """What had been reported as done before the crash."""
        return [step.what for step in self.record.steps[: state.step] if isinstance(step, Done)]


def crash_states(record: Record, bound: int = 40, seed: int = 0) -> Iterator[State]:
    """Every state that a kill may leave, and those of power cuts before the first of several syncs, after each report
    and at the end: what may be lost at another moment may be lost at one of these as well.

    Of each kind of reordering `bound` states at most are drawn at each of these moments. No state comes twice with the
    same things reported.
    """
    history, draw, seen = History(record), random.Random(seed), set[int]()
    for crash in history.crashes():
        before, after = record.steps[crash.stop - 1 : crash.stop], record.steps[crash.stop : crash.stop + 1]
        syncs = isinstance(after[0], Sync) and not isinstance(before[0], Sync) if after else True
        cut = syncs or isinstance(before[0], Done)
        for states in (crash.killed(), crash.reordered(draw, bound) if cut else ()):
            for state in states:
                if (what := hash((len(history.finished(state)), state.files))) not in seen:
                    seen.add(what)
                    yield state
