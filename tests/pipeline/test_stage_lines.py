"""The lines of a run: all stages from the start, columns that stand still, and no long silence in a log."""

import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from smoke import Done

from pipeline.dag import STAGES
from pipeline.stage_lines import NARROW, SILENCE_SECONDS, WIDE, StageLines, row
from pipeline.stage_progress import StageProgress, State
from pipeline.stage_progress import clock as clock_of
from stages.store.manifest import read_manifest


class Clock:
    """A clock that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_on(console: Console, quiet: bool = False) -> tuple[StageLines, Clock]:
    lines, clock = StageLines(console, {"fit": (3000, "steps"), "zoo": (10**12, "networks")}, quiet), Clock()
    lines.clock, lines.last_line = clock, clock.now
    return lines, clock


def log() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=120), out


def drawn(lines: StageLines, width: int, plain: bool = False) -> list[str]:
    return [line.plain for line in lines.rows(width, lines.clock(), plain)]


def test_all_stages_stand_there_before_the_first_has_begun():
    lines, _ = lines_on(Console(file=io.StringIO(), force_terminal=True, width=80))
    assert [line.split()[1] for line in drawn(lines, 80)] == list(STAGES)
    assert all("%" not in line for line in drawn(lines, 80))
    some = StageLines(lines.console, stages=STAGES[:2])
    assert [line.split()[1] for line in drawn(some, 80)] == list(STAGES[:2])


@pytest.mark.parametrize("width", [80, 120])
def test_a_run_as_it_looks(width: int, finished: tuple[Path, Done]):
    lines, clock = lines_on(Console(file=io.StringIO(), force_terminal=True, width=width))
    lines.done("zoo", finished[1]["zoo"][0], reused=True)
    for _ in range(41):
        lines.watch("fit", min((clock.now - 1000) / 100, 1), "step 123 of 3000, loss 0.123, and all that can be said")
        clock.now += 1
    zoo, canonicalize, _, fit, *_ = drawn(lines, width)
    assert zoo.startswith("✓ zoo ")
    assert f"reused {finished[1]['zoo'][0].key}" in zoo
    assert canonicalize.startswith("· canonicalize ")
    for words in ("fit", " 40%", "0:41", "0:59 left", "30 steps/s", "step 123"):
        assert words in fit
    assert fit.endswith("…")
    assert cell_len(fit) == width


def test_a_stage_that_was_made_has_its_time_and_key(finished: tuple[Path, Done]):
    lines, _ = lines_on(Console(file=io.StringIO(), force_terminal=True, width=80))
    lines.done("zoo", finished[1]["zoo"][0], reused=False)
    assert "100%" in drawn(lines, 80)[0]
    assert clock_of(read_manifest(finished[1]["zoo"][0].path).seconds) in drawn(lines, 80)[0].split()
    assert f"done {finished[1]['zoo'][0].key}" in drawn(lines, 80)[0]


NOTES = st.text(max_size=80) | st.sampled_from(["成員八至十五", "a\nb", "[bold]x[/bold]", "é" * 70])
MOVES = st.tuples(st.sampled_from(STAGES), st.floats(0, 1), NOTES, st.floats(0, 2e5), st.booleans())


@example([("zoo", 0.1, "", 0, False), ("zoo", 0.9, "a rate too long for its column", 2, False)], 120, False)
@given(st.lists(MOVES, max_size=12), st.sampled_from([10, 25, 40, NARROW, 80, WIDE, 120]), st.booleans())
def test_whatever_happens_rows_fit_and_columns_stand_still(moves, width: int, plain: bool):
    lines, clock = lines_on(Console(file=io.StringIO(), force_terminal=True, width=width))
    for stage, share, note, seconds, over in moves:
        clock.now += seconds
        lines.watch(stage, share, note)
        if over:
            lines.end(stage, note)
    rows = drawn(lines, width, plain)
    assert len(rows) == len(STAGES)
    assert all(cell_len(line) <= width and "\n" not in line for line in rows)
    assert not plain or "".join(rows).isascii()
    for line, stage in zip(rows, STAGES, strict=True):
        assert line[2:14] == stage.ljust(12)[: max(0, width - 2)]
    notes = 28 if width < NARROW else 50 if width < WIDE else 75  # where notes begin, after a gap
    assert {line[i : i + 1] for line in rows for i in (1, 14, notes - 1)} <= {" ", ""}
    assert len({line.index("%") for line in rows if "%" in line[:notes]}) <= 1


def test_colours_are_of_states():
    stage = StageProgress("fit")
    stage.end(State.STOPPED, "", 0)
    assert row(stage, 80, 0).plain.startswith("✗")
    assert any(span.style == "red" for span in row(stage, 80, 0).spans)


def test_what_keeps_them_waiting_is_said_until_a_stage_moves():
    lines, clock = lines_on(Console(file=io.StringIO(), force_terminal=True, width=80))
    lines.wait_for("Prefect starts")
    clock.now += 65
    assert drawn(lines, 80)[-1].endswith("Prefect starts 1:05")
    lines.watch("zoo", 0, "loading")
    assert len(drawn(lines, 80)) == len(STAGES)


def test_a_failure_leaves_no_stage_that_looks_as_if_it_ran():
    console, _ = log()
    lines, _ = lines_on(console)
    lines.watch("zoo", 0.5, "members")
    with pytest.raises(RuntimeError), lines:
        raise RuntimeError
    assert lines.stages["zoo"].state is State.STOPPED
    assert lines.stages["zoo"].share == 0.5


def test_a_log_has_a_line_soon_and_then_every_few_seconds():
    console, out = log()
    lines, clock = lines_on(console)
    lines.watch("zoo", 0.0, "loading")
    for _ in range(60):  # what the thread does four times a second
        clock.now += 0.5
        lines._speak_up()
    said = out.getvalue().splitlines()
    assert said[0].split()[:3] == ["zoo", "0%", "0:01"]
    assert len(said) == 1 + 29 // SILENCE_SECONDS
    assert SILENCE_SECONDS < 10


def test_a_log_says_what_is_waited_for_too():
    console, out = log()
    lines, clock = lines_on(console)
    lines.wait_for("Prefect starts")
    clock.now += 9
    lines._speak_up()
    assert out.getvalue().splitlines() == ["Prefect starts", "Prefect starts  0:09"]


def test_a_log_has_one_line_per_finished_stage(finished: tuple[Path, Done]):
    console, out = log()
    lines, _ = lines_on(console)
    with lines:
        for stage, (ref, _) in finished[1].items():
            lines.done(stage, ref, reused=stage == "zoo")
            lines.done(stage, ref, reused=False)  # once is enough
    said = out.getvalue().splitlines()
    assert [line.split()[:2] for line in said] == [[s, "reused" if s == "zoo" else "done"] for s in STAGES]
    assert said[1].endswith(" s")


def test_quiet_says_nothing(finished: tuple[Path, Done]):
    console, out = log()
    lines, clock = lines_on(console, quiet=True)
    with lines:
        lines.wait_for("Prefect starts")
        lines.watch("zoo", 0.5, "members")
        clock.now += 60
        lines.done("zoo", finished[1]["zoo"][0], reused=False)
    assert out.getvalue() == ""


def test_a_dumb_terminal_gets_a_log(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "dumb")
    lines, _ = lines_on(Console(file=io.StringIO(), force_terminal=True, width=80))
    assert lines.prints
    assert not lines.redraws
