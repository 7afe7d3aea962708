"""That the recorder sees what the system sees, and that the states of a crash are those that POSIX allows."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_recorder import ROOT, Done, Names, Node, Record, Sync, recorded
from crash_states import State, crash_states
from strategies import make_artifact

from stages.store.artifact import note_latest
from stages.store.files import flush_one

CALLS = {"rename": "moved", "unlink": "gone", "unlinkat": "gone", "rmdir": "gone", "link": "named", "fsync": "synced"}
"""Calls of the system, and what the record says of them."""
PROGRAM = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from crash_recorder import recorded
from stages.store.checkpoints import save_tensors
from test_crash_recorder import published, told
root = Path(sys.argv[2])
with recorded(root) as record:
    published(root)
    save_tensors(root / "velocity.safetensors", {"w": torch.ones(3)})
print(json.dumps(list(told(record))))
"""


def published(root: Path) -> None:
    """Publish an artifact twice, the first one damaged in between."""
    make_artifact(root)
    next(root.rglob("notes.json")).unlink()
    make_artifact(root)
    note_latest(root, "pack", "test", "k1")


def told(record: Record) -> Iterator[tuple[str, str]]:
    """What the record says of changed names and syncs, by the last name of each file."""
    names: dict[Node, str] = {ROOT: record.root.name}
    for i, step in enumerate(record.steps):
        match step:
            case Names(changes):
                now = [change for change in changes if change.node is not None]
                kind = "gone" if not now else "moved" if len(changes) > 1 else "named"
                for change in now or changes:
                    if i >= record.before and (change.node is None or change.node in names):
                        yield kind, change.name
                    if change.node is not None:
                        names[change.node] = change.name
            case Sync(node) if i >= record.before:
                yield "synced", names[node]
            case _:
                pass


def traced(lines: list[str], root: Path) -> Iterator[tuple[str, str]]:
    """The same of what strace wrote."""
    for line in lines:
        if call := re.search(r"(\w+)\((.*)\) += 0$", line):
            paths = [path for path in re.findall(r'"([^"]*)"|<([^>]*)>', call[2]) if any(path)]
            places = ["".join(path) for path in paths]
            if any(place.startswith(str(root)) for place in places):
                yield CALLS[call[1]], Path(places[-1]).name


@pytest.mark.slow
def test_the_record_is_what_the_system_was_asked_for(tmp_path):
    trace = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-qq",
        "-o",
        str(tmp_path / "trace"),
        "-e",
        f"trace={','.join(CALLS)}",
    ]
    if shutil.which("strace") is None or subprocess.run([*trace, "true"], capture_output=True).returncode:
        pytest.skip("no strace here, or none that may look")
    (root := tmp_path / "store").mkdir()
    program = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(root)]
    done = subprocess.run([*trace, *program], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True)
    record = [tuple(entry) for entry in json.loads(done.stdout)]
    assert {kind for kind, _ in record} >= {"moved", "gone", "synced"}
    assert list(traced((tmp_path / "trace").read_text().splitlines(), root)) == record


def _on_disk(root: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in root.rglob("*")}


def test_the_states_begin_with_what_was_there_and_a_kill_at_the_end_leaves_what_is_there(tmp_path):
    published(tmp_path)
    before = _on_disk(tmp_path)
    with recorded(tmp_path) as record:
        published(tmp_path)
    states = [state.tree for state in crash_states(record, 3)]
    assert states[0] == before
    assert _on_disk(tmp_path) in states


def held(states: list[State], name: str) -> set[bytes | None]:
    """What a file may hold; None: it isn't there."""
    return {state.tree.get(name) for state in states}


def test_what_is_not_synced_may_be_lost_torn_or_reordered_and_what_is_may_not(tmp_path):
    with recorded(tmp_path) as record:
        (tmp_path / "a").write_bytes(b"1234")
        (tmp_path / "a").rename(tmp_path / "b")
        record.done("written")
        flush_one(tmp_path / "b")
        record.done("content synced")
        flush_one(tmp_path)
        record.done("name synced")
    states, marks = list(crash_states(record)), [i for i, step in enumerate(record.steps) if isinstance(step, Done)]
    parts = [[s for s in states if first < s.step <= last] for first, last in zip(marks, [*marks[1:], 99], strict=True)]
    assert held(parts[0], "b") == {None, b"", b"12", bytes(4), b"\0\0" + b"34", b"1234"}
    assert held(parts[0], "a") >= {None, b"", b"1234"}
    assert held(parts[1], "b") == {None, b"1234"}
    assert held(parts[1], "a") == {None, b"1234"}
    assert all(("a" in state.tree) + ("b" in state.tree) <= 1 for state in states), "a rename is one step"
    assert held(parts[2], "b") == {b"1234"}


def test_independent_files_may_reach_the_disk_in_any_order(tmp_path):
    with recorded(tmp_path) as record:
        for name in "abc":
            (tmp_path / name).write_text(name)
            (tmp_path / name).rename(tmp_path / name.upper())
    whole = [{n for n in "ABC" if state.tree.get(n) == n.lower().encode()} for state in crash_states(record)]
    assert {frozenset(names) for names in whole} == {frozenset(n) for n in ("", "A", "B", "C", "AB", "AC", "BC", "ABC")}
