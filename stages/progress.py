"""Progress of long work: the fraction done and a note, throttled and scaled to the whole."""

import time
from collections.abc import Callable

Progress = Callable[[float, str], None]
"""A callback with the fraction done in [0, 1] and a note; may raise `Interrupted`."""


def silent(fraction: float, note: str) -> None:
    """Progress that is discarded."""
    del fraction, note


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """The progress of part `index` of `count` equal ones, as progress of the whole."""
    return lambda fraction, note: progress((index + fraction) / count, note)


class Throttle:
    """A limit on how often something happens."""

    def __init__(self, seconds: float) -> None:
        """At most once every so many seconds, for the first time `seconds` from now."""
        self.seconds, self.last = seconds, time.monotonic()

    def due(self) -> bool:
        """Whether at least `seconds` have passed since it was last due."""
        now = time.monotonic()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


class ProgressReporter:
    """Reports of the loss during training, twice a second at most."""

    def __init__(self, name: str, progress: Progress) -> None:
        """`name` is what is trained, such as `members 0-49`."""
        self.name, self.progress, self.throttle = name, progress, Throttle(0.5)

    def step(self, step: int, steps: int, loss: Callable[[], float]) -> None:
        """Report step `step` of `steps`; `loss` is called only when its value is shown."""
        if self.throttle.due():
            self.progress(step / steps, f"{self.name}, step {step}/{steps}, loss {loss():.3f}")
