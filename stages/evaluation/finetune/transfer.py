"""Transfer: the same networks on another data set, as they are and after training on it.

Their head, the layer that gives one number per class, is replaced where the other data have another number of classes.
"""

import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.evaluation.figure_parts import Transfer as TransferFigures
from stages.evaluation.finetune.fine_tune_run import Cache, FineTuneRun, Rows, Scores, Starts, score_curve
from stages.members.draws import Seeds
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
            layout = self.run.completion.layout.parameter_layout
            starts = with_fresh_heads(starts, self.home, layout, self.head, self.run.seeds)
        return self.run.scores(starts, eval_steps)


def make_transfer(name: str, home: FineTuneRun, train: Train, test: Test) -> TransferRun:
    """The run on other data, with another head if these have another number of classes."""
    _check_comparable(name, home.train, train)
    module, layout = home.completion.module, home.completion.layout.parameter_layout
    head, classes = None, _classes(train.targets)
    if classes and classes != (before := _outputs(module, home)):
        head = head_of(module, before)
        module = reheaded(module, head, classes)
    data = train if normalisers(module) else None
    completion = Completion(module, home.completion.reference, data, home.completion.batchnorm)
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


def head_of(module: nn.Module, classes: int) -> str:
    """The name of the last Linear that gives so many numbers.

    Raises UsageError if no Linear does.
    """
    linear = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear))
    heads = [name for name, layer in linear if layer.out_features == classes]
    if not heads:
        raise UsageError(
            f"evaluate.transfer: the network has no Linear with {classes} outputs that could be replaced for another "
            "number of classes; leave out data sets with other classes"
        )
    return heads[-1]


def reheaded(module: nn.Module, head: str, classes: int) -> nn.Module:
    """A copy of the module whose head gives so many numbers."""
    old = module.get_submodule(head)
    assert isinstance(old, nn.Linear)
    new = nn.Linear(old.in_features, classes, old.bias is not None, old.weight.device, old.weight.dtype)
    if not head:
        return new
    module, (parent, _, name) = copy.deepcopy(module), head.rpartition(".")
    setattr(module.get_submodule(parent), name, new)
    return module


def with_fresh_heads(
    rows: Float[Tensor, "networks parameters"], old: Layout, new: Layout, head: str, seeds: Seeds
) -> Float[Tensor, "networks others"]:
    """The same networks with heads as Linear begins, each drawn anew, network i's from the seed (head, i).

    `old` and `new` are layouts of drawn parameters, before and after `reheaded`.
    """
    kept, slots = old.unflatten(rows), {slot.name: slot for slot in new.slots}
    names = [name for name in slots if name.rpartition(".")[0] == head]
    bound = slots[names[0]].shape[-1] ** -0.5  # of weight, which comes before bias
    draws = [seeds.draw("head", i) for i in range(len(rows))]
    fresh = {name: torch.stack([_uniform(slots[name].shape, bound, draw) for draw in draws]) for name in names}
    return new.flatten({name: fresh[name] if name in fresh else kept[name] for name in slots})


def _uniform(shape: tuple[int, ...], bound: float, draw: torch.Generator) -> Tensor:
    return nn.init.uniform_(torch.empty(shape), -bound, bound, generator=draw)
