"""The table of ensembles: averages of few and of many networks, of those sets that there is a reason to average."""

from collections.abc import Callable, Sequence

from stages.columns import FINE_RATIO, PERCENT, SCORE, Unit
from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import EnsembleCurve, ensemble_curve
from stages.reporting.looks import look
from stages.reporting.tables import NONE, Row, Table
from stages.reporting.wording import score_text

SIZES = (1, 5, 20)
"""Networks averaged, as ensembles of trained networks usually are; sizes that weren't measured are left out."""
Quantity = Callable[[EnsembleCurve], Sequence[float] | None]


def ensembles_table(figures: Figures) -> Table | None:
    """Figures of averaged predictions of generated networks, members, held-out members and noised copies."""
    curves = {name: curve for name, entry in _averaged(figures).items() if (curve := ensemble_curve.of(entry))}
    shown = [
        (heading, meaning, quantity, unit)
        for heading, meaning, quantity, unit in _quantities(figures)
        if any(quantity(curve) for curve in curves.values())
    ]
    rows: list[Row] = []
    for name, curve in curves.items():
        for position, size in [(i, size) for i, size in enumerate(curve.sizes) if size in SIZES]:
            values = [(quantity(curve), unit) for _, _, quantity, unit in shown]
            cells = (NONE if found is None else unit.text(found[position]) for found, unit in values)
            entry = figures.sets[name]
            rows.append(Row(f"{name} × {size}", entry.role, look(entry).colour, tuple(cells)))
    columns = [(heading, meaning) for heading, meaning, _, _ in shown]
    return Table("Ensembles", "Networks averaged", columns, rows) if rows else None


def noised_copies(figures: Figures) -> str | None:
    """The level of noise whose networks lie as far from members as the generated ones; None where there is none."""
    far = distance_in_tau.of(figures.sets.get("generated"))
    away = {
        name: abs(distance - far)
        for name, entry in figures.sets.items()
        if entry.family == "noise" and far is not None and (distance := distance_in_tau.of(entry)) is not None
    }
    return min(away, key=lambda name: away[name], default=None)


def _averaged(figures: Figures) -> dict[str, SetFigures]:
    """The sets whose averages are compared."""
    copies = noised_copies(figures)
    return {name: entry for name, entry in figures.sets.items() if entry.role != "baseline" or name == copies}


def _quantities(figures: Figures) -> list[tuple[str, str, Quantity, Unit]]:
    """Heading, meaning, values by size, and unit of every column."""
    words = score_text(figures)
    classes = figures.score != "spearman"
    return [
        (words.heading[0].upper() + words.heading[1:], "of averaged predictions, mean", lambda c: c.score, SCORE),
        (
            "NLL" if classes else "Squared error",
            "cross-entropy of averaged probabilities, in nats, mean" if classes else "of averaged predictions, mean",
            lambda c: c.loss,
            FINE_RATIO,
        ),
        ("ECE, %", "gap between confidence and accuracy, mean", lambda c: c.ece, PERCENT),
        (
            "Brier",
            "squared distance of averaged probabilities to the truth, mean",
            lambda c: c.brier,
            FINE_RATIO,
        ),
        (
            f"AUROC, {figures.ood.name}" if figures.ood else "AUROC",
            "of telling the other data set's examples from test examples by the mean energy; 0.5 is chance",
            lambda c: c.ood_auroc,
            FINE_RATIO,
        ),
    ]
