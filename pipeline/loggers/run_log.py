"""A listener that tells a tracker, at the end of each stage, what the stage found."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Experiment
from pipeline.listener import Listener
from pipeline.loggers.tracker import Tracker, tracker_of
from pipeline.runner import Runner
from stages.params.flat import flat
from stages.store.refs import Ref

OF_THE_MACHINE = ("name", "store_root", "data_root", "device", "threads", "logger")
"""Fields of a configuration that no result depends on."""


@dataclass
class RunLog:
    """Passes everything on to a listener, and tells a tracker; a tracker that fails is not told any more."""

    listener: Listener
    kind: str
    tracker: Tracker | None

    def watch(self, stage: str, share: float, note: str) -> None:
        """Pass it on."""
        self.listener.watch(stage, share, note)

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """Pass it on, and tell what there is to tell of the stage."""
        self.listener.done(stage, ref, reused)
        if tell := TOLD.get(stage):
            self.told(lambda tracker: tell(tracker, ref.path))

    def told(self, tell: Callable[[Tracker], None]) -> None:
        """Tell the tracker. Work of hours isn't lost because a tracker can't be reached: it warns, and goes on."""
        if self.tracker is None:
            return
        try:
            tell(self.tracker)
        except Exception as error:  # noqa: BLE001 - whatever a library of others raises
            self.tracker = None
            text = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            warnings.warn(f"logger: {self.kind} failed ({text}); the run goes on without it", stacklevel=2)


@contextmanager
def logged(experiment: Experiment, listener: Listener, wanted: bool = True) -> Iterator[Any]:
    """A listener that tells the experiment's tracker, too; the same one where no tracker is named or none is wanted.

    A run that was told already isn't told again. Raises UsageError if the tracker's library isn't installed.
    """
    if experiment.logger == "none" or not wanted:
        yield listener
        return
    key = Runner(experiment).plan()[-1].key
    log = RunLog(listener, experiment.logger, tracker_of(experiment.logger, experiment.name, key))
    values = {name: value for name, value in experiment.model_dump(mode="json").items() if name not in OF_THE_MACHINE}
    log.told(lambda tracker: tracker.parameters(flat(values)))
    try:
        yield log
    except BaseException:
        log.told(lambda tracker: tracker.finish(False))
        raise
    log.told(lambda tracker: tracker.finish(True))


def _curves(tracker: Tracker, fitted: Path) -> None:
    """Losses, dispersion, and scores of samples on the way."""
    from stages.evaluation.upstream import curves

    losses, samples = curves(fitted)
    rows: dict[int, dict[str, float]] = {}
    for part, table in (("fit", losses), ("samples", samples)):
        columns = table.model_dump() if table else {}
        for position, step in enumerate(columns.pop("step", [])):
            rows.setdefault(int(step), {}).update({f"{part}/{n}": values[position] for n, values in columns.items()})
    tracker.curves(dict(sorted(rows.items())))


def _figures(tracker: Tracker, evaluated: Path) -> None:
    """Every set's figures that are one number, and the verdict's answers: 1 for yes, 0 for no."""
    from stages.evaluation.figures import read_figures
    from stages.evaluation.metrics import METRICS

    figures = read_figures(evaluated)
    metrics = [metric for metric in METRICS.values() if metric.is_number]
    found = {f"{name}/{m.name}": m.number(entry) for name, entry in figures.sets.items() for m in metrics}
    found |= {f"verdict/{name}": answer for name, answer in figures.verdict.model_dump().items()}
    tracker.figures({name: float(value) for name, value in found.items() if value is not None})


def _files(tracker: Tracker, report: Path) -> None:
    """The page, its pictures and the table."""
    tracker.files([report / "report.html", report / "figures.csv", *sorted(report.glob("*.png"))])


TOLD: dict[str, Callable[[Tracker, Path], None]] = {"fit": _curves, "evaluate": _figures, "report": _files}
"""What is told of the stages that there is something to tell of."""
