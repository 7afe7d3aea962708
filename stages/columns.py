"""Columns of tables: where a metric is shown and how its value is printed. Nothing here changes a number."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Unit(NamedTuple):
    """How values are printed: `scale` times the value with `places` decimals; `symbol` belongs to the heading."""

    symbol: str
    scale: float
    places: int

    def text(self, value: float) -> str:
        """One value."""
        return f"{self.scale * value:,.{self.places}f}"


SCORE = Unit("", 100, 2)
"""Of the figure of merit, whose name and unit depend on the task (accuracy in %, Spearman's correlation times 100)."""
PERCENT = Unit("%", 100, 2)
WHOLE_PERCENT = Unit("%", 100, 0)
RATIO = Unit("", 1, 2)
FINE_RATIO = Unit("", 1, 3)
COUNT = Unit("", 1, 0)
TAU = Unit("τ", 1, 2)
"""Distances in units of tau, the members' median distance to the nearest other one."""
FINE_TAU = Unit("τ", 1, 3)
LENGTH = Unit("", 1, 2)
"""L2 distances between rows of weights."""


@dataclass(frozen=True)
class Column:
    """A metric's column: `order` from left to right, in the table of main figures or in that of distributions.

    `show` is what is printed of a metric that has a value per network: its mean, mean ± standard deviation, or its
    first tenth, median and last tenth. `brief` columns are also in the terminal's table and in those of sweeps.
    """

    order: int
    unit: Unit
    table: Literal["main", "distribution"] = "main"
    show: Literal["mean", "spread", "quantiles"] = "mean"
    brief: bool = False
