"""Time that is left, time taken and rates, on a clock of the tests' own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stage_progress import StageProgress, State, clock


def moved(*moves: tuple[float, float], size: tuple[int, str] | None = None) -> StageProgress:
    """A stage that reports a share at each of some times."""
    stage = StageProgress("fit", size)
    for now, share in moves:
        stage.move(share, "", now)
    return stage


def test_even_progress_ends_when_it_says():
    stage = moved(*((t, t / 100) for t in range(31)), size=(3000, "steps"))
    assert stage.left(30) == pytest.approx(70)
    assert stage.elapsed(30) == 30
    assert stage.rate() == "30 steps/s"


def test_time_that_is_left_passes_between_two_reports_and_grows_when_none_comes():
    stage = moved((0, 0.0), (1, 0.1), (2, 0.2))
    assert stage.left(5) == pytest.approx(5)
    assert stage.left(20) == pytest.approx(0.8 * 19 / 0.1)


def test_what_an_earlier_run_had_done_takes_no_part_in_the_estimate():
    stage = moved((0, 0.0), (10, 0.9), (12, 0.92))  # nine tenths were there
    assert stage.left(12) == pytest.approx(8)


def test_the_estimate_follows_a_change_of_speed():
    fast_then_slow = [*((t, 0.02 * t) for t in range(21)), *((20 + 10 * t, 0.4 + 0.01 * t) for t in range(1, 11))]
    stage = moved(*fast_then_slow)
    assert stage.left(120) == pytest.approx(500, rel=0.05)


@pytest.mark.parametrize("moves", [[(0, 0.0)], [(0, 0.0), (3, 0.5)], [(0, 0.1), (0.5, 0.2)]])
def test_nothing_is_said_before_it_can_be(moves: list[tuple[float, float]]):
    stage = moved(*moves, size=(10, "steps"))
    assert stage.left(moves[-1][0]) is None
    assert stage.rate() == ""


def test_a_stage_that_is_over_says_what_it_took():
    stage = moved((10, 0.0), (15, 0.5))
    stage.end(State.DONE, "", 20)
    assert (stage.elapsed(99), stage.left(99), stage.share) == (10, None, 1.0)
    stage.end(State.DONE, "", 20, taken=12.5)
    assert stage.elapsed(99) == 12.5
    reused = StageProgress("zoo")
    reused.end(State.REUSED, "", 3)
    assert reused.elapsed(99) is None


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1, 2)), min_size=1, max_size=30), st.floats(0, 1e5))
def test_no_estimate_is_negative_whatever_is_reported(moves: list[tuple[float, float]], later: float):
    moves = sorted(moves)
    stage, now = moved(*moves, size=(7, "networks")), moves[-1][0] + later
    left = stage.left(now)
    assert left is None or left >= 0
    assert 0 <= stage.share <= 1
    assert stage.elapsed(now) == pytest.approx(now - moves[0][0])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.9, "0:00"),
        (59.9, "0:59"),
        (61, "1:01"),
        (3661, "1:01:01"),
        (35_999, "9:59:59"),
        (36_000, "10h 00m"),
        (86_399, "23h 59m"),
        (90_000, "1d 01h"),
    ],
)
def test_the_clock_is_short(seconds: float | None, text: str):
    assert clock(seconds) == text
    assert len(text) <= 7
