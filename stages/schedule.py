"""The half cosine along which learning rates rise and fall."""

import math


def half_cosine(start: float, end: float, angle: float) -> float:
    """From `start` at an angle of 0 to `end` at pi."""
    return end + (start - end) * (1 + math.cos(angle)) / 2
