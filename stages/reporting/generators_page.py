"""The page of several generators: their networks in one table beside members and baselines, on one frontier."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.frontier import frontier
from stages.evaluation.metrics.novelty import distance_in_tau
from stages.evaluation.metrics.performance import score
from stages.reporting import definitions, other_generator, sentences
from stages.reporting.drawing import new_axes, numbers, pairs, plot, rule, stretch_distance, stretch_score, with_legend
from stages.reporting.looks import BROWN, GREEN, GREY, HELD_OUT, INK, MEMBERS, OLIVE, ORANGE, PURPLE, VERMILLION, Look
from stages.reporting.page import QUESTIONS, template
from stages.reporting.plots.score_and_novelty import points
from stages.reporting.sweep_page import report_of
from stages.reporting.sweep_results import SweepResults
from stages.reporting.tables import Table, sets_table
from stages.reporting.wording import score_text

COLOURS = (VERMILLION, GREEN, PURPLE, ORANGE, OLIVE, BROWN, GREY)
MARKERS = ("^", "s", "P", "v", "X", "*", "h", "d")
"""Of generators, in turn; members and held-out members look as in every report."""
OTHERS = {"members": MEMBERS, "held-out": HELD_OUT}


@dataclass(frozen=True)
class Generators:
    """The figures of each generator's evaluation beside the same members, and where its report lies, by name."""

    figures: Mapping[str, Figures]
    reports: Mapping[str, str]

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How each generator is drawn."""
        looks = enumerate(self.figures)
        return {n: Look(n, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, n in looks}

    @cached_property
    def together(self) -> Figures:
        """One evaluation with the networks of each generator among its sets, and those baselines that all share."""
        first, *rest = self.figures.values()
        trained = {name: first.sets[name] for name in OTHERS}
        theirs = {name: figures.sets["generated"] for name, figures in self.figures.items()}
        shared = {
            name: entry
            for name, entry in first.sets.items()
            if entry.role == "baseline" and all(_alike(entry, figures.sets.get(name)) for figures in rest)
        }
        sets = trained | theirs | shared
        return first.model_copy(update={"sets": sets, "frontier": frontier(sets) if first.score else None})

    @property
    def table(self) -> Table:
        """Every set's main figures."""
        table = sets_table(self.together)
        assert table is not None, "distances are always measured"
        rows = [replace(r, colour=self.looks[r.name].colour) if r.name in self.looks else r for r in table.rows]
        return replace(table, rows=rows)

    @property
    def verdicts(self) -> list[tuple[str, list[str], str, str]]:
        """Per generator: its name, an answer to each question, the figures behind them, and its report."""
        return [
            (
                name,
                [sentences.answer_text(answer) for answer in figures.verdict.model_dump().values()],
                " ".join(filter(None, (sentences.verdict(figures), other_generator.copies(figures)))),
                self.reports[name],
            )
            for name, figures in self.figures.items()
        ]


def _alike(entry: SetFigures, other: SetFigures | None) -> bool:
    """Whether a baseline is the same: one that starts from the generated networks differs between generators."""
    return other is not None and (score.of(entry), distance_in_tau.of(entry)) == (
        score.of(other),
        distance_in_tau.of(other),
    )


def write_page(
    path: Path, sweep: SweepResults, generators: Generators, created: str, versions: Mapping[str, str]
) -> None:
    """Write the page; equal arguments give equal bytes."""
    together = generators.together
    cautions = {name: figures.warnings for name, figures in generators.figures.items() if figures.warnings}
    foreign = next((f for f in generators.figures.values() if f.generator is not None), together)
    notes = (definitions.bar(together), definitions.tau(together), other_generator.unknown(foreign))
    page = template("generators_page.html.jinja").render(
        sweep=sweep,
        created=created,
        versions=versions,
        value_text=str,
        verdict=None,  # there is one for each generator
        report_of=report_of,
        failed=[point for point in sweep.points if point.failed],
        questions=list(QUESTIONS.values()),
        verdicts=generators.verdicts,
        cautions=cautions,
        table=generators.table,
        note=" ".join(filter(None, notes)),
        drawing=generators_plot,
        svg=generators_plot.svg(generators),
    )
    path.write_text(page, encoding="utf-8")


@plot(
    "Score and novelty of every generator",
    "Small marks are networks; large ones the centres of their sets, with the standard deviation of scores. The thin "
    "line is the best mean score at a distance of the baselines that all generators share.",
    wide=True,
)
def generators_plot(generators: Generators) -> Figure | None:
    """Test score against the distance to the nearest member, for every generator."""
    together = generators.together
    looks = OTHERS | generators.looks
    entries = {name: together.sets[name] for name in looks}
    drawn = {n: pairs(points(e, distance_in_tau), points(e, score)) for n, e in entries.items() if score.of(e)}
    if not drawn:
        return None
    axes = new_axes(5.0, 4.3, "distance to the nearest member, in τ", f"test {score_text(together).heading}")
    for name, (x, y) in drawn.items():
        look, scores, distance = looks[name], score.of(entries[name]), distance_in_tau.of(entries[name])
        assert scores is not None
        assert distance is not None
        axes.plot(x, y, look.marker, color=look.colour, alpha=0.4, markersize=3.5, markeredgewidth=0)
        style: dict[str, Any] = {"markersize": 7, "markeredgecolor": INK, "markeredgewidth": 0.7, "zorder": 3}
        style |= {"fmt": look.marker, "color": look.colour, "elinewidth": 0.9, "capsize": 2.5, "label": name}
        axes.errorbar([distance], [scores.mean], [scores.std], **style)
    every = [value for _, y in drawn.values() for value in y]
    every += together.frontier.score if together.frontier else []
    stretch_score(axes, min(every), max(every))
    stretch_distance(axes, numbers([value for x, _ in drawn.values() for value in x]))
    if together.frontier:
        line = numbers(together.frontier.distance), numbers(together.frontier.score)
        axes.plot(*line, color=INK, linewidth=1.1, alpha=0.8, label="best baseline")
    rule(axes, together.bar, "bar", across=True)
    rule(axes, 1.0, "1 τ", across=False)
    return with_legend(axes)
