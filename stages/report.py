"""Stage 7, the last page of the six: an evaluation shown, from its figures alone."""

from typing import Any

from stages.context import Context
from stages.evaluation.figures import Figures, read_figures
from stages.params.base import Params
from stages.reporting import data_used, other_generator, sentences
from stages.reporting.downloads import figures_csv
from stages.reporting.lineage import Run, run_of
from stages.reporting.page import title, write_page
from stages.reporting.summary import ReportSummary, SummaryRow
from stages.reporting.tables import sets_table
from stages.store.refs import Ref


def report(evaluated: Ref, params: Params, ctx: Context) -> dict[str, Any]:
    """Render report.html, a PNG of every plot, figures.csv and summary.json. Nothing is measured here."""
    del params  # it has none
    figures, run = read_figures(evaluated.path), run_of(evaluated.path)
    write_page(ctx.out / "report.html", figures, run, pictures=ctx.out)
    (ctx.out / "figures.csv").write_text(figures_csv(figures), encoding="utf-8", newline="")
    summary_of(figures, run).write(ctx.out)
    return {"plots": len(list(ctx.out.glob("*.png")))}


def summary_of(figures: Figures, run: Run) -> ReportSummary:
    """What a terminal shows."""
    table, data = sets_table(figures, brief=True), (data_used.scored_on(figures), data_used.inputs(figures))
    theirs = [say(figures) for say in (other_generator.copies, other_generator.statistics, other_generator.unknown)]
    return ReportSummary(
        title=title(figures, run),
        warnings=list(figures.warnings),
        verdict=sentences.verdict(figures),
        findings=[*sentences.findings(figures, run.networks_per_minute), *filter(None, [*theirs, *data])],
        columns=[heading for heading, _ in table.columns] if table else [],
        rows=[SummaryRow(name=r.name, role=r.role, cells=list(r.cells)) for r in table.rows] if table else [],
    )
