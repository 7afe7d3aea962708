"""Requirements of networks: one tensor in, the same outputs for the same input, any batch size, real weights."""

import copy
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from stages.errors import UsageError
from stages.seeds import global_seed
from stages.symmetry.fresh import fresh

SAME = 1e-4
"""Largest change of outputs from run to run, relative to the largest output, that is still round-off."""


def check_network(module: nn.Module, example: Tensor, where: str, *, one_tensor: bool = True) -> None:
    """Raise UsageError in one line that begins with `where`, unless the network can be worked with.

    `example` are inputs [batch, ...]. `one_tensor`: its outputs have to be one tensor, to be scored. Puts the module
    into evaluation mode.
    """
    _check_tensors(module.eval(), where)
    module, unused = fresh(module), fresh(module)
    with global_seed("network requirements"), torch.no_grad():  # one that draws leaves the generators as they are
        outputs = _run(module, example, where)
        if not _tensors_in(outputs):
            raise UsageError(f"{where} gives a {type(outputs).__name__} without tensors; wrap forward to return one")
        if one_tensor and not isinstance(outputs, Tensor):
            raise UsageError(
                f"{where} gives a {type(outputs).__name__}, expected one tensor; wrap forward to return the one that "
                "is to be scored"
            )
        if any(_differ(outputs, _run(module, example, where)) for _ in range(2)):
            raise UsageError(
                f"{where} gives other outputs for the same input in evaluation mode (dropout? sampling?); make forward "
                "deterministic there, e.g. F.dropout(x, p, self.training)"
            )
        _run(module, torch.cat([example, example[:1]]), where)
        _check_forgets(module, unused, example, where)


def _check_forgets(used: nn.Module, unused: nn.Module, example: Tensor, where: str) -> None:
    """Many networks are run in one module, which may keep nothing of one for the next once its mode has changed."""
    other = {name: p + 0.1 * torch.randn_like(p) for name, p in unused.named_parameters()}
    alone, after_another = (functional_call(m, other, (example,)) for m in (unused, used.train().eval()))
    if _differ(alone, after_another):
        raise UsageError(
            f"{where} keeps something that it computed from its weights for later runs with others; drop it in "
            "train(mode), or compute it in every forward"
        )


def check_reproducible(module: nn.Module, again: nn.Module, where: str) -> None:
    """Raise UsageError naming a tensor that checkpoints don't hold and that a network made `again` has otherwise.

    Such as random features that aren't stored: nobody can tell what a checkpoint was trained with.
    """
    first, second = _unstored(module), _unstored(again)
    for name in first.keys() & second.keys():
        if not torch.equal(first[name], second[name]):
            raise UsageError(
                f"{where}: {name!r} is drawn anew whenever the network is made, and checkpoints don't hold it, so none "
                "computes what it was trained to; draw it from a generator with a seed of its own, or store it by "
                "register_buffer"
            )


def _unstored(module: nn.Module) -> dict[str, Tensor]:
    """Tensors that no state dict has: buffers that aren't persistent, and plain attributes of modules."""
    stored, parts = module.state_dict(), [(f"{name}." if name else "", part) for name, part in module.named_modules()]
    plain = {prefix + name: v for prefix, part in parts for name, v in vars(part).items() if isinstance(v, Tensor)}
    computed = [name for name in plain if f"{name}_orig" in stored]  # before each forward, by a hook
    unstored = plain | {name: buffer for name, buffer in module.named_buffers() if name not in stored}
    return {name: tensor for name, tensor in unstored.items() if name not in computed}


def _check_tensors(module: nn.Module, where: str) -> None:
    for name, parameter in module.named_parameters():
        if not parameter.is_floating_point():
            kind = str(parameter.dtype).removeprefix("torch.")
            raise UsageError(
                f"{where}: parameter {name!r} is {kind}, but rows of weights hold real numbers; keep it as real "
                "numbers (torch.view_as_real) and convert it in forward (torch.view_as_complex)"
            )
    try:
        copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"{where} can't be copied ({_line(error)}); no tensor that is computed from parameters may be an attribute "
            "of a module, as torch.nn.utils.weight_norm makes one: use torch.nn.utils.parametrizations.weight_norm, or "
            "torch.nn.utils.remove_weight_norm"
        ) from error


def _run(module: nn.Module, example: Tensor, where: str) -> Any:
    """The outputs, whatever they are; networks of other people raise whatever they like."""
    try:
        return module(example)
    except Exception as error:
        given = f"a batch of {len(example)} inputs of shape {tuple(example.shape[1:])}"
        raise UsageError(
            f"{where} doesn't take {given} ({_line(error)}); forward must take one tensor of any batch size "
            "(x.view(len(x), -1), say): wrap one that takes several, and check the network's input and vocabulary"
        ) from error


def _differ(first: Any, second: Any) -> bool:
    """Whether two runs gave different outputs."""
    pairs = zip(_tensors_in(first), _tensors_in(second), strict=True)
    return any(a.shape != b.shape or bool((a - b).abs().max() > SAME * a.abs().max()) for a, b in pairs if a.numel())


def _tensors_in(outputs: Any) -> list[Tensor]:
    return [leaf.double() for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and not leaf.is_complex()]


def _line(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", 150, placeholder=" ...")
