"""Progress of long work: who is told, how often, and of which part."""

import time
from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done in [0, 1] and a few words; may raise `Interrupted`."""


def silent(fraction: float, note: str) -> None:
    """Progress that nobody follows."""
    del fraction, note


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """The progress of part `index` of `count` equal ones, as progress of the whole."""
    return lambda fraction, note: progress((index + fraction) / count, note)


class Throttle:
    """Lets something happen at most every so many seconds."""

    def __init__(self, seconds: float) -> None:
        """The first time is due `seconds` from now."""
        self.seconds, self.last = seconds, time.monotonic()

    def due(self) -> bool:
        """Whether that long has passed since it was last due."""
        now = time.monotonic()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


class ProgressReporter:
    """Reports the loss of a training step, twice a second at most."""

    def __init__(self, name: str, progress: Progress) -> None:
        """`name` is what is trained, such as `members 0-49`."""
        self.name, self.progress, self.throttle = name, progress, Throttle(0.5)

    def step(self, step: int, steps: int, loss: Callable[[], float]) -> None:
        """After so many of the steps; `loss` is called only when its value is shown."""
        if self.throttle.due():
            self.progress(step / steps, f"{self.name}, step {step}/{steps}, loss {loss():.3f}")
