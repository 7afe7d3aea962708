"""Heads: the layer that gives one number per class, found in any network and replaced for another number of classes."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.errors import UsageError
from stages.members.draws import Seeds
from stages.store.layout import Layout


def head_of(module: nn.Module, classes: int) -> str:
    """The name of the last Linear that gives so many numbers.

    Raises UsageError if no Linear does.
    """
    found = [n for n, layer in module.named_modules() if isinstance(layer, nn.Linear) and layer.out_features == classes]
    if not found:
        raise UsageError(
            f"evaluate.transfer: the network has no Linear with {classes} outputs that could be replaced for another "
            "number of classes; leave out data sets with other classes"
        )
    return found[-1]


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
