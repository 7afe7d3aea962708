"""What a training tells of itself while it goes on."""

import time

import numpy as np
from torch import Tensor

from stages.context import Progress


def share_of(progress: Progress, index: int, count: int, share: float, note: str) -> None:
    """Progress of one of several stacks."""
    progress((index + share) / count, note)


class Teller:
    """Reports a step's loss, twice a second at most."""

    def __init__(self, members: np.ndarray, progress: Progress) -> None:
        """For a stack of these members."""
        first, last = members[0], members[-1]
        self.who = f"members {first}-{last}" if last > first else f"member {first}"
        self.count, self.progress, self.told = len(members), progress, time.monotonic()

    def __call__(self, step: int, steps: int, error: Tensor) -> None:
        """After so many of the steps, with the members' summed loss."""
        if time.monotonic() - self.told > 0.5:
            self.told = time.monotonic()
            self.progress(step / steps, f"{self.who}, step {step}/{steps}, loss {error.item() / self.count:.3f}")
