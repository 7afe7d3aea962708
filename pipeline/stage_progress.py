"""The progress of one stage: its state, the time it has taken, the time that is left, and its rate."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

WINDOW_SECONDS = 20.0
"""Estimates look at least this far back, and at half of the stage's time once that is more."""
LEAST_SECONDS = 1.0
"""Time that progress has to be watched before anything is estimated from it."""


class State(Enum):
    """Where a stage stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    STOPPED = "stopped"


@dataclass
class StageProgress:
    """The progress of one stage; all times are of one monotonic clock, in seconds.

    `size`: how many things the stage makes in all and what they are, such as (3000, "steps"), if that is known.
    """

    stage: str
    size: tuple[int, str] | None = None
    state: State = State.WAITING
    share: float = 0.0
    note: str = ""
    started: float | None = None
    taken: float | None = None
    """How long a finished stage took."""
    samples: deque[tuple[float, float]] = field(default_factory=deque)
    """When which share was done, within the window of the estimate."""

    def move(self, share: float, note: str, now: float) -> None:
        """Note how far it is; the first time it begins."""
        if self.started is None:
            self.started = now
        self.state, self.note = State.RUNNING, note
        self.share = min(max(share, 0.0), 1.0)
        if share > 0 and not (self.samples and share <= self.samples[-1][1]):
            self.samples.append((now, self.share))
        window = max(WINDOW_SECONDS, (now - self.started) / 2)
        while len(self.samples) > 2 and self.samples[1][0] < now - window:
            self.samples.popleft()

    def end(self, state: State, note: str, now: float, taken: float | None = None) -> None:
        """Note that it is over, and how long it took if that is known better than from the clock."""
        if taken is None and self.started is not None:
            taken = now - self.started
        self.state, self.note, self.taken = state, note, taken
        self.share = 1.0 if state in (State.DONE, State.REUSED) else self.share

    def elapsed(self, now: float) -> float | None:
        """Seconds since it began, or that it took; None if it never ran."""
        if self.taken is not None or self.started is None:
            return self.taken
        return now - self.started

    def speed(self) -> float | None:
        """Share per second of late; what an earlier run had done counts for nothing."""
        if len(self.samples) < 2:
            return None
        (then, before), (last, share) = self.samples[0], self.samples[-1]
        return (share - before) / (last - then) if last - then >= LEAST_SECONDS else None

    def left(self, now: float) -> float | None:
        """Seconds that are left, as far as one can tell; None while nobody can."""
        if self.state is not State.RUNNING or not (speed := self.speed()):
            return None
        last, share = self.samples[-1]
        left = (1 - share) / speed - (now - last)
        if left >= 0:
            return left
        then, before = self.samples[0]  # it has become slower
        return (1 - share) * (now - then) / (share - before)

    def rate(self) -> str:
        """What it makes per second, such as `310 steps/s`; empty while or where that isn't known."""
        if self.state is not State.RUNNING or self.size is None or not (speed := self.speed()):
            return ""
        count, name = self.size
        per_second = speed * count
        if per_second >= 10_000:
            return f"{per_second / 1000:,.0f}k {name}/s"
        return f"{per_second:,.0f} {name}/s" if per_second >= 10 else f"{per_second:.2g} {name}/s"


def clock(seconds: float | None) -> str:
    """Seconds as m:ss or h:mm:ss, many as `12h 05m` or `3d 07h`, in seven characters; empty for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24:02}h"
    if hours >= 10:
        return f"{hours}h {minutes:02}m"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
