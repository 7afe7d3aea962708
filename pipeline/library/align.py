"""`dwf.align`: anybody's networks of one architecture, their units in the order of the first one's."""

import warnings
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from pipeline.library.example import example_for
from pipeline.library.symmetry import State, symmetry
from stages.errors import UsageError
from stages.nets.normalisation import running_statistics
from stages.symmetry.element import Element
from stages.symmetry.fresh import fresh

N = TypeVar("N", bound=nn.Module | State)


def align(networks: Sequence[N], example: Tensor | None = None, *, model: nn.Module | None = None) -> list[N]:
    """Copies of networks, each relabelled so that its weights come closest to the first one's, functions unchanged.

    Networks are modules, or state dicts together with a `model` of their architecture. `example` is a batch of inputs
    [batch, ...]; None: one is guessed from the first layer. Git Re-Basin (arXiv 2209.04836) matches weights, and
    TransFusion (arXiv 2505.22697) where there are attention heads. Averages and interpolations of the copies are then
    far better networks than those of the originals.

    Raises UsageError if no example can be guessed, LayoutMismatch if architectures differ, FunctionChanged if outputs
    changed beyond round-off. Warns if nothing of the architecture can be permuted.
    """
    if not networks:
        return []
    first = networks[0]
    if model is None and not isinstance(first, nn.Module):
        raise UsageError("align: found state dicts; give model=, a module of their architecture")
    template = first if isinstance(first, nn.Module) else model
    assert template is not None
    if example is None:
        example = example_for(fresh(template, lambda tensor: tensor.detach().cpu()).float())
    found = symmetry(template, example, _constants(template, networks))
    if not found.symmetry.groups:
        warnings.warn(f"align: nothing can be permuted, so nothing was aligned: {'; '.join(found.notes)}", stacklevel=2)
    return [found.act(first, Element({})), *(found.align(first, network) for network in networks[1:])]


def _constants(template: nn.Module, networks: Sequence[nn.Module | State]) -> list[str]:
    """Buffers that all networks share, such as masks and sinusoidal positions; running statistics are none."""
    states = [network.state_dict() if isinstance(network, nn.Module) else network for network in networks]
    names = [name for name, _ in template.named_buffers() if name not in running_statistics(template)]
    return [name for name in names if all(name in s and torch.equal(s[name], states[0][name]) for s in states)]
