"""Transfer: the same networks on another data set, as they are and after training on it."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.evaluation.finetune.heads import head_of, reheaded, with_fresh_heads
from stages.evaluation.finetune.run import Course, Keep, Rows, Scores, Starts, spread
from stages.members.loop import steps_per_epoch
from stages.nets.normalisation import normalisers
from stages.params.finetune import Transfer
from stages.sampling.completion import Completion
from stages.store.layout import Layout


def transfer(params: Transfer, starts: Starts, home: Course, train: Train, test: Test, keep: Keep) -> dict[str, Any]:
    """Test scores of every set after every epoch, `{dataset, epochs, networks, new_head, sets: {name: {mean, std}}}`.

    `home` says how networks are trained. BatchNorm statistics are those of the other data's training examples. Sets that
    were measured before a kill are not trained again. Raises UsageError if the network can't take the data.
    """
    away = _abroad(params.dataset.name, home, train, test)
    epochs = [epoch for epoch in params.epochs if epoch or away.head is None]
    if not epochs:
        raise UsageError(
            f"evaluate.transfer: {params.dataset.name} has another number of classes than the zoo's data, so that the head "
            f"is new and there is no zero-shot score; add epochs above 0 to {list(params.epochs)}"
        )
    stops = [epoch * steps_per_epoch(home.recipe, train) for epoch in epochs]
    sets = {}
    for name, rows in starts.items():
        work = partial(away.scores, rows, params.networks, stops)
        sets[name] = spread(keep(name, work))
    return {
        "dataset": params.dataset.name,
        "epochs": epochs,
        "networks": params.networks,
        "new_head": away.head is not None,
        "sets": sets,
    }


@dataclass(frozen=True)
class _Away:
    """A course on other data for networks of the home layout, whose `head` is replaced unless it is None."""

    course: Course
    home: Layout
    head: str | None

    def scores(self, rows: Rows, networks: int, stops: list[int]) -> Scores:
        found = rows(networks)
        if self.head is not None:
            found = with_fresh_heads(found, self.home, self.course.complete.layout.drawn, self.head, self.course.seeds)
        return self.course.scores(found, stops)


def _abroad(name: str, home: Course, train: Train, test: Test) -> _Away:
    """The course on other data, with another head if the data have another number of classes."""
    _comparable(name, home.train, train)
    module, layout = home.complete.module, home.complete.layout.drawn
    head, classes = None, _classes(train.targets)
    if classes and classes != (before := _outputs(module, home)):
        head = head_of(module, before)
        module = reheaded(module, head, classes)
    complete = Completion(module, home.complete.reference, train if normalisers(module) else None, home.complete.how)
    return _Away(replace(home, complete=complete, train=train, test=test), layout, head)


def _comparable(name: str, home: Train, away: Train) -> None:
    """Raise UsageError unless both ask for classes or both for numbers, of inputs of one shape and type."""
    expected, found = tuple(home.inputs.shape[1:]), tuple(away.inputs.shape[1:])
    if found != expected or home.inputs.dtype != away.inputs.dtype:
        raise UsageError(
            f"evaluate.transfer: {name}'s inputs have shape {list(found)}, but the zoo's network takes {list(expected)}; set "
            f"size and channels of the data set, e.g. {{name: {name}, size: 32, channels: 3}}, or leave it out"
        )
    if away.targets.is_floating_point() != home.targets.is_floating_point():
        kinds = ("classes", "numbers") if home.targets.is_floating_point() else ("numbers", "classes")
        raise UsageError(
            f"evaluate.transfer: {name} has {kinds[0]} to predict, but the zoo's networks predict {kinds[1]}"
        )


def _classes(targets: Tensor) -> int:
    """How many classes there are; 0 where numbers are predicted."""
    return 0 if targets.is_floating_point() else int(targets.max()) + 1


@torch.no_grad()
def _outputs(module: nn.Module, home: Course) -> int:
    """How many classes the networks tell apart."""
    return int(module.eval()(home.train.inputs[:2].to(home.ctx.device)).shape[-1])
