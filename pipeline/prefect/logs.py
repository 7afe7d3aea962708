"""The log of a run on Prefect's pages: what each stage made, scores, and errors in one line."""

import logging

from prefect import get_run_logger

from stages.errors import DwfError
from stages.reporting.lineage import StageFacts
from stages.reporting.summary import ReportSummary
from stages.store.manifest import read_manifest
from stages.store.refs import Ref


def log_stage(ref: Ref, reused: bool) -> None:
    """Log what a stage made, with the scores that it reported, and where it lies."""
    made = read_manifest(ref.path)
    how = "reused" if reused else f"done in {made.seconds:.1f} s"
    facts = StageFacts(made.stage, made.key, made.seconds, made.summary).in_words
    get_run_logger().info("%s %s: %s", made.stage, how, "; ".join(filter(None, [facts, str(ref.path)])))


def log_scores(summary: ReportSummary) -> None:
    """Log the scores of held-out members and of generated networks, and the verdict."""
    for row in summary.rows:
        if row.role in ("held-out", "generated"):
            scores = (f"{name} {cell}" for name, cell in zip(summary.columns, row.cells, strict=True))
            get_run_logger().info("%s: %s", row.name, "; ".join(scores))
    get_run_logger().info("%s", summary.verdict)


class _OneLine(logging.Filter):
    """Puts an error that explains itself in the place of its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, DwfError):
            record.msg, record.args, record.exc_info = str(error), (), None
        return True


ONE_LINE = _OneLine()


def explain_in_one_line() -> None:
    """Keep tracebacks of a DwfError out of the log of a deployment's process, which reports how its run ended."""
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(ONE_LINE)
