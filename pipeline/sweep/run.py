"""Many points through the same dag: stage by stage, so that what points share is made once."""

from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.dag import STAGES
from pipeline.runner import Watch
from pipeline.sweep.points import Point, Step
from pipeline.sweep.workers import workers
from stages.errors import DwfError, NotComplete
from stages.store.artifact import find
from stages.store.refs import Ref


@dataclass
class Results:
    """What a sweep made, found and failed to make, by key."""

    refs: dict[str, Ref] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """Why a stage of some point, and thereby all that needs it, isn't there."""

    def failure(self, point: Point) -> str | None:
        """Which of its stages failed and why, None for a point that is complete."""
        return next((self.failed[step.key] for step in point.steps.values() if step.key in self.failed), None)

    def count(self, points: Sequence[Point]) -> str:
        """How much was made, and how much needn't be."""
        keys = {step.key for point in points for step in point.steps.values()}
        every, made = len(STAGES) * len(points), len(self.computed)
        found, lost = len(self.refs) - made, len(keys - self.refs.keys())
        parts = {"computed": made, "shared": every - len(keys), "there already": found, "not made": lost}
        told = [f"{number} {what}" for what, number in parts.items() if number or what in ("computed", "shared")]
        return f"{len(points)} points, {every} stage results: {', '.join(told)}"


def run_points(points: Sequence[Point], jobs: int, watch: Watch) -> Results:
    """Bring every point through the dag, at most `jobs` stage results at a time; a failure costs only its own points."""
    results = Results()
    with workers(jobs, watch) as submit:
        for stage in STAGES:
            todo = _missing(stage, points, results)
            watch(stage, 0 if todo else 1, f"{len(todo)} to make")
            threads = max(1, points[0].experiment.threads // max(1, min(jobs, len(todo))))
            waiting = {
                submit(point.named(stage, threads), stage, _upstream(point.steps[stage], point, results)): key
                for key, point in todo.items()
            }
            for number, done in enumerate(as_completed(waiting), start=1):
                _note(done, stage, waiting[done], results)
                watch(stage, number / len(todo), f"{number} of {len(todo)}")
    return results


def _missing(stage: str, points: Sequence[Point], results: Results) -> dict[str, Point]:
    """By key, one of the points that need a result of this stage that isn't there; those that are there are noted."""
    todo: dict[str, Point] = {}
    for point in points:
        key = point.steps[stage].key
        if results.failure(point) or key in results.refs or key in todo:
            continue
        if ref := _found(point.experiment.store_root, stage, key):
            results.refs[key] = ref
        else:
            todo[key] = point
    return todo


def _found(root: Path, stage: str, key: str) -> Ref | None:
    try:
        return find(root, stage, key)
    except NotComplete:  # whoever makes it will say what is wrong
        return None


def _upstream(step: Step, point: Point, results: Results) -> dict[str, Ref]:
    return {name: results.refs[point.steps[stage].key] for name, stage in step.upstream.items()}


def _note(done: "Future[Ref]", stage: str, key: str, results: Results) -> None:
    error = done.exception()
    if isinstance(error, BrokenProcessPool):
        raise error
    if error is None and done.result().key != key:
        results.failed[key] = f"{stage}: its code was edited while the sweep ran; run the same command again"
    elif error is None:
        results.refs[key] = done.result()
        results.computed.add(key)
    elif isinstance(error, DwfError):
        results.failed[key] = str(error)
    else:
        results.failed[key] = f"{stage}: unexpected {type(error).__name__}: {error}"
