"""Transfer: the same networks on another data set, as they are and after training on it."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.evaluation.figures import Transfer as TransferFigures
from stages.evaluation.finetune.fine_tune_run import Cache, FineTuneRun, Rows, Scores, Starts, score_curve
from stages.evaluation.finetune.heads import head_of, reheaded, with_fresh_heads
from stages.members.loop import steps_per_epoch
from stages.nets.normalisation import normalisers
from stages.params.evaluate import Transfer
from stages.sampling.completion import Completion
from stages.store.layout import Layout


def transfer(
    params: Transfer, starts: Starts, home: FineTuneRun, train: Train, test: Test, cache: Cache
) -> TransferFigures:
    """Test scores of every set after every epoch on the other data.

    `home` says how networks are trained. BatchNorm statistics are those of the other data's training examples. Sets
    that were scored before a kill are not trained again. Raises UsageError if the network can't take the data.
    """
    name = params.dataset.name
    run = make_transfer(name, home, train, test)
    epochs = [epoch for epoch in params.epochs if epoch or run.head is None]
    if not epochs:
        raise UsageError(
            f"evaluate.transfer: {name} has another number of classes than the zoo's data, so that the head is new and "
            f"there is no zero-shot score; add epochs above 0 to {list(params.epochs)}"
        )
    eval_steps = [epoch * steps_per_epoch(home.recipe, train) for epoch in epochs]
    sets = {
        start: score_curve(cache(start, partial(run.scores, rows, params.networks, eval_steps)))
        for start, rows in starts.items()
    }
    new_head = run.head is not None
    return TransferFigures(dataset=name, epochs=epochs, networks=params.networks, new_head=new_head, sets=sets)


@dataclass(frozen=True)
class TransferRun:
    """A run on other data for networks of the home layout, whose `head` is replaced unless it is None."""

    run: FineTuneRun
    home: Layout
    head: str | None

    def scores(self, rows: Rows, networks: int, eval_steps: list[int]) -> Scores:
        """Test scores on the other data after so many steps."""
        starts = rows(networks)
        if self.head is not None:
            layout = self.run.completion.layout.drawn
            starts = with_fresh_heads(starts, self.home, layout, self.head, self.run.seeds)
        return self.run.scores(starts, eval_steps)


def make_transfer(name: str, home: FineTuneRun, train: Train, test: Test) -> TransferRun:
    """The run on other data, with another head if these have another number of classes."""
    _check_comparable(name, home.train, train)
    module, layout = home.completion.module, home.completion.layout.drawn
    head, classes = None, _classes(train.targets)
    if classes and classes != (before := _outputs(module, home)):
        head = head_of(module, before)
        module = reheaded(module, head, classes)
    data = train if normalisers(module) else None
    completion = Completion(module, home.completion.reference, data, home.completion.how)
    return TransferRun(replace(home, completion=completion, train=train, test=test), layout, head)


def _check_comparable(name: str, home: Train, away: Train) -> None:
    """Raise UsageError unless both ask for classes or both for numbers, of inputs of one shape and type."""
    expected, actual = list(home.inputs.shape[1:]), list(away.inputs.shape[1:])
    if actual != expected or home.inputs.dtype != away.inputs.dtype:
        raise UsageError(
            f"evaluate.transfer: {name}'s inputs have shape {actual}, but the zoo's network takes {expected}; set size "
            f"and channels of the data set, e.g. {{name: {name}, size: 32, channels: 3}}, or leave it out"
        )
    if away.targets.is_floating_point() != home.targets.is_floating_point():
        kinds = ("classes", "numbers") if home.targets.is_floating_point() else ("numbers", "classes")
        raise UsageError(
            f"evaluate.transfer: {name} has {kinds[0]} to predict, but the zoo's networks predict {kinds[1]}"
        )


def _classes(targets: Tensor) -> int:
    """How many classes there are; 0 in a regression."""
    return 0 if targets.is_floating_point() else int(targets.max()) + 1


@torch.no_grad()
def _outputs(module: nn.Module, home: FineTuneRun) -> int:
    """How many classes the networks distinguish."""
    return int(module.eval()(home.train.inputs[:2].to(home.ctx.device)).shape[-1])
