"""Spectral normalization: the singular vectors that a layer keeps as buffers, computed from its weight."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm


class SingularVectors(NamedTuple):
    """Names of a weight and of the buffers with its leading singular vectors; `axis` is the weight's output axis."""

    weight: str
    left: str
    right: str
    axis: int


def singular_vectors(module: nn.Module) -> Iterator[SingularVectors]:
    """Those of every spectrally normalized weight, as a parametrization or in torch's older way, as a hook."""
    for prefix, part in ((f"{name}." if name else "", part) for name, part in module.named_modules()):
        for number, norm in enumerate(part if isinstance(part, ParametrizationList) else ()):
            if isinstance(norm, _SpectralNorm) and hasattr(norm, "_u"):  # vectors have no singular vectors
                yield SingularVectors(f"{prefix}original", f"{prefix}{number}._u", f"{prefix}{number}._v", norm.dim)
        for hook in part._forward_pre_hooks.values():  # noqa: SLF001 - torch has no other list of them
            if isinstance(hook, SpectralNorm):
                name = f"{prefix}{hook.name}"
                yield SingularVectors(f"{name}_orig", f"{name}_u", f"{name}_v", hook.dim)


def singular_vector_names(module: nn.Module) -> set[str]:
    """The names of all singular vectors among the module's buffers."""
    return {name for vectors in singular_vectors(module) for name in (vectors.left, vectors.right)}


def with_singular_vectors(module: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The leading singular vectors [networks, length] of stacked weights [networks, ...], by their buffers' names.

    Training keeps them up by power iteration, a step at a time; these are what it converges to. Of weights that
    aren't finite they aren't either. Source: Miyato et al., arXiv 1802.05957, algorithm 1.
    """
    vectors = {}
    for names in singular_vectors(module):
        matrices = weights[names.weight].movedim(names.axis + 1, 1).flatten(2)
        finite = torch.isfinite(matrices).all(2).all(1)
        left, _, right = torch.linalg.svd(torch.where(finite[:, None, None], matrices, 0.0), full_matrices=False)
        missing = torch.where(finite, 0.0, torch.nan)[:, None]
        vectors[names.left], vectors[names.right] = left[:, :, 0] + missing, right[:, 0] + missing
    return vectors
