"""The sets of networks that are measured: members, held-out members, generated networks, and trivial baselines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from stages.evaluation.baseline import Baseline, Level
from stages.evaluation.baselines import BASELINES
from stages.evaluation.inputs import EvaluationInputs
from stages.evaluation.network_set import NetworkSet, Role
from stages.nets.normalisation import normalisers, running_statistics
from stages.seeds import generator


@dataclass(frozen=True)
class SetToMeasure:
    """One set of networks to be measured, its rows made when they are needed."""

    name: str
    role: Role
    rows: Callable[[], Tensor]
    baseline: Baseline | None = None

    def measured(self, inputs: EvaluationInputs) -> NetworkSet:
        """The set with its results; of members and generated networks also with the reference's running statistics."""
        rows, reference, copied = self.rows(), inputs.reference, None
        own = inputs.own_buffers(self.role, inputs.measured if self.role == "members" else slice(None))
        if normalisers(inputs.completion.module) and self.role in ("members", "generated"):
            statistics = running_statistics(inputs.completion.module)
            others = {name: values for name, values in own.items() if name not in statistics}
            copied = inputs.results(rows, inputs.completion.copied, own=others)
        if self.role == "members" and len(rows) == len(reference.members):
            results = reference.results
        elif self.role == "held-out" and reference.heldout:
            results = reference.heldout[1]
        else:
            averaged = self.baseline is None or self.baseline.ensembles
            sizes = inputs.params.ensemble_sizes if averaged else ()
            results = inputs.results(rows, None, sizes, own)
        family = self.baseline.family if self.baseline else None
        known = {"generated": lambda: inputs.nearest, "held-out": lambda: reference.heldout_nearest}
        nearest = known[self.role]() if self.role in known else None
        return NetworkSet(self.role, family, rows, results, reference, copied, nearest)


def sets(inputs: EvaluationInputs) -> list[SetToMeasure]:
    """Everything that is measured, in the order of the report."""
    return [
        SetToMeasure("members", "members", lambda: inputs.members[inputs.measured]),
        SetToMeasure("held-out", "held-out", lambda: inputs.heldout),
        SetToMeasure("generated", "generated", lambda: inputs.generated),
        *(level for baseline in BASELINES for level in _levels(inputs, baseline)),
    ]


def _levels(inputs: EvaluationInputs, baseline: Baseline) -> Iterator[SetToMeasure]:
    for level in baseline.levels(inputs):
        name = f"{baseline.family} {level.name}".strip()
        yield SetToMeasure(name, "baseline", partial(_drawn, inputs, level, name), baseline)


def _drawn(inputs: EvaluationInputs, level: Level, name: str) -> Tensor:
    """A baseline's networks, from a generator of its own; the best of more of them where the generated ones were."""
    count, selection, complete = inputs.params.baseline_networks, inputs.selection, inputs.completion
    draw = generator(inputs.params.seed, "baseline", name)
    if not level.selected or selection.data is None:
        return level.draw(count, draw)
    candidates = level.draw(len(selection.candidates(0, count)), draw)
    best = selection.select(complete.module, complete.rows(candidates), count, inputs.ctx.device)
    return best[:, : inputs.packed.layout.size]
