"""Fine-tuning runs: networks are trained further on training data and scored on test data at given steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from stages.context import Context
from stages.datasets import Test, Train
from stages.evaluation.figure_parts import ScoreCurve
from stages.evaluation.results import results_of
from stages.members.draws import Seeds
from stages.members.loop import train_from
from stages.params.zoo import Recipe
from stages.sampling.completion import Completion
from stages.store.units import kept

Scores = Float[Tensor, "eval_steps networks"]
Rows = Callable[[int], Tensor]
"""Gives so many networks, as rows [networks, parameters] without buffers."""
Starts = Mapping[str, Rows]
"""The sets that are compared, by name."""
Cache = Callable[[str, Callable[[], Scores]], Scores]
"""Gives a set's scores: those that were kept before a kill, or those that it is to compute and keep."""


@dataclass(frozen=True)
class FineTuneRun:
    """What networks are trained on, how, and what they are scored on.

    Before every scoring their BatchNorm statistics are measured anew by `completion`. Network i of every set sees the
    same examples in the same order.
    """

    completion: Completion
    train: Train
    test: Test
    recipe: Recipe
    seeds: Seeds
    ctx: Context

    def scores(self, rows: Float[Tensor, "networks parameters"], eval_steps: Sequence[int]) -> Scores:
        """Test scores after so many steps of training from these parameters."""
        layout, module = self.completion.layout, self.completion.module
        complete = layout.flatten(layout.parameter_layout.unflatten(rows) | self.completion.copied(rows))
        stacks = train_from(module, complete, self.recipe, self.seeds, eval_steps, self.train, self.ctx)
        return torch.cat([torch.stack([self.score(trained) for trained in stack]) for stack in stacks], dim=1)

    def score(self, rows: Float[Tensor, "networks parameters"]) -> Float[Tensor, " networks"]:
        """Test scores of networks as they are; buffers that follow the parameters are ignored."""
        rows = rows[:, : self.completion.layout.parameter_layout.size].cpu()
        return results_of([self.completion.outputs(rows, self.test.inputs)], self.test.targets).scores


def cached(folder: Path, run: str, name: str, scores: Callable[[], Scores]) -> Scores:
    """One set's scores in a run, kept in a file: a unit of work that survives a kill."""
    return torch.tensor(kept(folder / f"{run}-{name}.json", lambda: scores().tolist()), dtype=torch.float64)


def score_curve(scores: Scores) -> ScoreCurve:
    """Mean and standard deviation over networks at every step."""
    return ScoreCurve(mean=scores.mean(1).tolist(), std=scores.std(1, correction=0).tolist())
