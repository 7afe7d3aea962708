"""Copies of networks without what they remember of earlier runs."""

import copy
from collections.abc import Callable

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def fresh(module: nn.Module, tensor: Callable[[Tensor], Tensor] = lambda t: t) -> nn.Module:
    """A copy in evaluation mode that has the module's own tensors, or `tensor` of each.

    What a network keeps besides, such as cached attention biases, is the copy's own: it would hold for the weights of
    the first run alone. Nor can it always be copied as it is: the old weight_norm leaves computed weights behind.
    """
    parameters = {id(p): nn.Parameter(tensor(p), p.requires_grad) for p in module.parameters()}
    others = (t for m in module.modules() for t in tree_leaves(vars(m)))
    return copy.deepcopy(module, {id(t): tensor(t) for t in others if isinstance(t, Tensor)} | parameters).eval()
