"""Judges what a crash left: does anything that counts as complete differ, is anything lost, does a new run heal it?"""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from crash_recorder import Record
from crash_states import History, State, Tree, crash_states

from stages.errors import DwfError
from stages.store.artifact import artifact_path, find
from stages.store.verify import verify

Artifacts = Mapping[tuple[str, str], str]
"""The digest that each artifact is to have, by stage and key; the record says `stage/key` once one is reported."""


def violations(record: Record, artifacts: Artifacts, bound: int = 40) -> list[str]:
    """What is wrong with artifacts in any of the states that a crash may leave, each complaint once."""
    history, judged, found = History(record), dict[tuple[str, Tree], str | None](), dict[str, None]()
    for state in crash_states(record, bound):
        reported = history.finished(state)
        for (stage, key), digest in artifacts.items():
            tree = state.below(str(artifact_path(Path(), stage, key)))
            what = f"{stage}/{key}", frozenset(tree.items())
            if what not in judged:
                judged[what] = _judge(tree, stage, key, digest)
            if (verdict := judged[what]) == "absent":
                if what[0] in reported:
                    found[f"{what[0]} was lost after it had been reported"] = None
            elif verdict:
                found[f"{what[0]}: {verdict}"] = None
    return list(found)


def _judge(tree: Mapping[str, bytes | None], stage: str, key: str, digest: str) -> str | None:
    """None for a sound artifact, "absent" if none counts as complete, or what is wrong with one that does."""
    if "manifest.json" not in tree:
        return "absent"
    with TemporaryDirectory() as folder:
        path = artifact_path(Path(folder), stage, key)
        State(0, tree).write(path)
        try:
            if find(Path(folder), stage, key) is None:
                return "absent"
            manifest, problems = verify(path)
        except DwfError as error:
            return f"refused ({error})"
        if problems:
            return f"counts as complete, but {problems[0]}"
        return None if manifest.digest == digest else f"counts as complete with digest {manifest.digest}"


def not_healed(
    record: Record, run: Callable[[Path], object], expected: object, count: int, seed: int = 0
) -> Iterator[str]:
    """What is wrong after running again from `count` of the states: an error, or another result."""
    for state in _sample(crash_states(record, 10, seed), count, random.Random(seed)):
        with TemporaryDirectory() as folder:
            state.write(Path(folder))
            try:
                result = run(Path(folder))
            except Exception as error:  # noqa: BLE001 - whatever a torn file makes a library raise
                yield f"after step {state.step}: {type(error).__name__}: {str(error)[:200]}"
                continue
            if result != expected:
                yield f"after step {state.step}: {result} instead of {expected}"


def _sample(states: Iterator[State], count: int, draw: random.Random) -> list[State]:
    """So many of the states, each as likely as any other, without holding all of them."""
    chosen: list[State] = []
    for i, state in enumerate(states):
        if i < count:
            chosen.append(state)
        elif (place := draw.randint(0, i)) < count:
            chosen[place] = state
    return chosen
