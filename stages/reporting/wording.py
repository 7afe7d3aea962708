"""What the figure of merit is called, and how it is printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A figure of merit, 1 being perfect: its name, and its heading in tables, which hold a hundred times its value."""

    name: str
    heading: str
    percent: bool

    def say(self, value: float) -> str:
        """A value in a text."""
        return f"{100 * value:.2f} %" if self.percent else f"{value:.4f}"

    def spread(self, figures: Mapping[str, float]) -> str:
        """Mean and standard deviation in hundredths, for a table."""
        return f"{100 * figures['mean']:.2f} ± {100 * figures['std']:.2f}"


SCORES = {
    "accuracy": Score("accuracy", "accuracy, %", True),
    "spearman": Score("Spearman correlation", "Spearman × 100", False),
}


def score_of(figures: Mapping[str, Any]) -> Score:
    """What an evaluation's scores are."""
    return SCORES[figures.get("score") or "accuracy"]


def table_rows(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every set as a row, heading -> entry, all with the same headings; what no set was measured for is left out."""
    score = score_of(figures)
    rows = [_row(name, entry, score) for name, entry in figures["sets"].items()]
    shown = [heading for heading in rows[0] if any(row[heading] for row in rows)]
    return [{heading: row[heading] for heading in shown} for row in rows]


def _row(name: str, s: Mapping[str, Any], score: Score) -> dict[str, str]:
    """One set; empty where it wasn't measured."""
    done, copied = s.get("score"), s.get("with_reference_statistics")
    return {
        "set": name,
        "networks": str(s["networks"]),
        score.heading: score.spread(done) if done else "",
        "min": f"{100 * done['min']:.2f}" if done else "",
        "copied statistics": score.spread(copied) if copied else "",
        "max IoU": f"{s['max_iou']['mean']:.2f}" if done else "",
        "distance / tau": f"{s['distance_in_tau']:.2f}",
        "N&P@1": _share(s["novel_and_performant"].get("1.0")) if done else "",
        "ensemble": f"{100 * s['ensemble_score']:.2f}" if done else "",
    }


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
