"""A course: networks are trained on training data and, at the stops, scored on test data."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from stages.context import Context
from stages.datasets import Test, Train
from stages.evaluation.outcome import outcome
from stages.members.draws import Seeds
from stages.members.loop import train_from
from stages.nets.stacked import outputs
from stages.params.zoo import Recipe
from stages.sampling.completion import Completion
from stages.store.files import write_json

Scores = Float[Tensor, "stops networks"]
Rows = Callable[[int], Tensor]
"""Gives so many networks, as rows [networks, parameters] of drawn parameters alone."""
Starts = Mapping[str, Rows]
"""The sets that are compared, by name."""
Keep = Callable[[str, Callable[[], Scores]], Scores]
"""Gives a set's scores: those that it kept before a kill, or those that it is to make and keep."""


@dataclass(frozen=True)
class Course:
    """What networks are trained on, how, and what they are scored on.

    Before every scoring their BatchNorm statistics are measured anew by `complete`. Network i of every set is shown the
    same examples in the same order.
    """

    complete: Completion
    train: Train
    test: Test
    recipe: Recipe
    seeds: Seeds
    ctx: Context

    def scores(self, rows: Float[Tensor, "networks parameters"], stops: Sequence[int]) -> Scores:
        """Test scores after so many steps of training from drawn parameters."""
        layout, module = self.complete.layout, self.complete.module
        whole = layout.flatten(layout.drawn.unflatten(rows) | self.complete.copied(rows))
        stacks = train_from(module, whole, self.recipe, self.seeds, stops, self.train, self.ctx)
        return torch.cat([torch.stack([self.score(found) for found in stack]) for stack in stacks], dim=1)

    def score(self, rows: Float[Tensor, "networks parameters"]) -> Float[Tensor, " networks"]:
        """Test scores of networks as they are; buffers that follow the parameters are left aside."""
        device, drawn = self.ctx.device, self.complete.layout.drawn
        rows = rows[:, : drawn.parameters].cpu()
        buffers = {name: tensor.to(device) for name, tensor in self.complete.measured(rows).items()}
        found = outputs(self.complete.module, drawn, rows.to(device), self.test.inputs.to(device), buffers)
        return outcome([found.cpu()], self.test.targets).scores


def remembered(folder: Path, trial: str, name: str, scores: Callable[[], Scores]) -> Scores:
    """One set's scores in a trial, kept in a file: a unit of work that survives a kill."""
    path = folder / f"{trial}-{name}.json"
    if not path.exists():
        write_json(path, scores().tolist())
    return torch.tensor(json.loads(path.read_text()), dtype=torch.float64)


def spread(scores: Scores) -> dict[str, list[float]]:
    """Mean and standard deviation over networks at every stop."""
    return {"mean": scores.mean(1).tolist(), "std": scores.std(1, correction=0).tolist()}
