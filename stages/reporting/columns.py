"""The columns of the report's tables of sets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stages.reporting.drawing import dig
from stages.reporting.lineage import NONE
from stages.reporting.wording import Score

Entry = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table of sets: its heading, what it means, and a set's entry in it."""

    heading: str
    meaning: str
    cell: Callable[[Entry], str]


def number(value: float | int | None, places: int) -> str:
    """A figure with so many decimals."""
    return NONE if value is None else f"{value:,.{places}f}"


def share(value: float | int | None, places: int) -> str:
    """A share in hundredths."""
    return NONE if value is None else f"{100 * value:.{places}f}"


def _spread(entry: Entry, *figure: str) -> str:
    """Mean ± standard deviation in hundredths; a set of one has no spread to tell."""
    mean, std = dig(entry, *figure, "mean"), dig(entry, *figure, "std")
    return share(mean, 2) if std is None or entry.get("networks") == 1 else f"{share(mean, 2)} ± {share(std, 2)}"


def _distance(entry: Entry) -> str:
    """Two decimals, or what remains significant of a distance that these would hide."""
    value = entry.get("distance_in_tau")
    return f"{value:.1g}" if value is not None and 0 < value < 0.01 else number(value, 2)


def _quantiles(entry: Entry, figure: str) -> str:
    """A summary's middle and its outer tenths."""
    found = [dig(entry, figure, quantile) for quantile in ("p10", "p50", "p90")]
    return NONE if None in found else " · ".join(f"{value:.3g}" for value in found)


def _beyond_one_tau(entry: Entry) -> float | int | None:
    """N&P at a margin of 1, however its key is spelled."""
    shares = entry.get("novel_and_performant") or {}
    return next((share for margin, share in shares.items() if float(margin) == 1), None)


def main_columns(score: Score) -> Iterator[Column]:
    """What is asked of every set first."""
    yield Column("Networks", "how many there are in the set", lambda e: number(e.get("networks"), 0))
    yield Column(
        score.heading[0].upper() + score.heading[1:],
        "of the networks on the test examples, mean ± standard deviation",
        lambda e: _spread(e, "score"),
    )
    yield Column("Lowest", f"{score.name} of the set's worst network", lambda e: share(dig(e, "score", "min"), 2))
    yield Column("R²", "share of variance explained, mean", lambda e: number(dig(e, "further", "r2", "mean"), 3))
    yield Column("Error", "mean absolute error", lambda e: number(dig(e, "further", "mae", "mean"), 3))
    yield Column(
        "ECE, %",
        "expected calibration error, the gap between confidence and accuracy, mean",
        lambda e: share(dig(e, "ece", "mean"), 2),
    )
    yield Column(
        "Copied statistics",
        f"{score.name} if BatchNorm's statistics were the reference member's instead of measured anew",
        lambda e: _spread(e, "with_reference_statistics"),
    )
    yield Column(
        "Max-IoU",
        "largest overlap of a network's mistakes with those of one member, mean; 1 is a copy",
        lambda e: number(dig(e, "max_iou", "mean"), 2),
    )
    yield Column("Distance, τ", "to the nearest member, median; 1 τ is what it is for a member itself", _distance)
    yield Column(
        "N&P, %",
        "novel and performant: above the bar and farther than 1 τ from every member",
        lambda e: share(_beyond_one_tau(e), 0),
    )
    yield Column(
        "Nearest",
        "how many different members are the nearest one to some network of the set",
        lambda e: number(e.get("nearest_members_hit"), 0),
    )
    yield Column(
        "Ensemble", f"{score.name} of the set's averaged predictions", lambda e: share(e.get("ensemble_score"), 2)
    )


LIKENESS = (
    Column(
        "Distance",
        "L2 to the nearest member, first tenth · median · last tenth of the networks",
        lambda e: _quantiles(e, "distance"),
    ),
    Column(
        "Quotient",
        "the same after aligning each network to every near member, so that no relabelling hides a copy",
        lambda e: _quantiles(e, "distance_quotient"),
    ),
    Column(
        "Normalised",
        "the same with every tensor divided by its standard deviation",
        lambda e: _quantiles(e, "distance_normalised"),
    ),
    Column(
        "Wasserstein, τ",
        "how far nearest-member distances are distributed from the members' own, in τ; 0 is equal",
        lambda e: number(e.get("wasserstein"), 3),
    ),
    Column(
        "Jensen–Shannon",
        "the same by overlap: 0 is equal, 1 is no overlap",
        lambda e: number(e.get("jensen_shannon"), 3),
    ),
    Column(
        "Spread",
        "along the members' principal directions, over the members'",
        lambda e: number(e.get("dispersion"), 3),
    ),
)
"""What is asked of a set as a distribution."""
