"""Wording of the figure of merit: what scores are called, and how they are printed."""

from dataclasses import dataclass

from stages.evaluation.figures import Figures


@dataclass(frozen=True)
class ScoreText:
    """A figure of merit, 1 being perfect: its name, and its heading in tables, which hold a hundred times its value."""

    name: str
    heading: str
    percent: bool

    def text(self, value: float) -> str:
        """A value in a sentence."""
        return f"{100 * value:.2f} %" if self.percent else f"{value:.4f}"

    def spread(self, mean: float, std: float) -> str:
        """A mean and its standard deviation in a sentence."""
        return f"{100 * mean:.2f} ± {100 * std:.2f} %" if self.percent else f"{mean:.4f} ± {std:.4f}"

    def difference(self, value: float, error: float | None = None) -> str:
        """A difference of scores, with its standard error."""
        values = [value] if error is None else [value, error]
        text = " ± ".join(f"{100 * v:.2f}" if self.percent else f"{v:.4f}" for v in values)
        return f"{text} points" if self.percent else text


SCORE_TEXTS = {
    "accuracy": ScoreText("accuracy", "accuracy, %", percent=True),
    "spearman": ScoreText("Spearman correlation", "Spearman × 100", percent=False),
}


def score_text(figures: Figures) -> ScoreText:
    """How an evaluation's scores are worded."""
    return SCORE_TEXTS[figures.score or "accuracy"]
