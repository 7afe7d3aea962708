"""TransFusion's matching of transformers (Rinaldi et al., arXiv 2505.22697): heads by their spectra, then all else."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stages.symmetry.rebasin import Match, best_assignment, match
from stages.symmetry.table import Axis, Symmetry, Weights


def transfuse(
    symmetry: Symmetry, reference: Weights, candidate: Weights, generator: torch.Generator, max_sweeps: int = 100
) -> Match:
    """Pair outer units that hold others (heads) by their singular values, then match all else with the heads kept.

    Singular values don't change when a matrix's rows or columns are permuted, so the pairing needs no iteration:
    heads are compared whatever the order of their dimensions, of the residual stream, or of other heads. Within
    heads, units and streams are then matched by coordinate descent until nothing improves (section 3.2 there).
    """
    heads = {name: pair_by_spectra(symmetry, name, reference, candidate) for name in nesting_groups(symmetry)}
    start = symmetry.identity() | heads
    return match(symmetry, reference, candidate, generator, max_sweeps, start, frozenset(heads))


def nesting_groups(symmetry: Symmetry) -> list[str]:
    """The groups that have others within them: heads."""
    return [name for name, children in symmetry.children.items() if children]


def pair_by_spectra(symmetry: Symmetry, group: str, reference: Weights, candidate: Weights) -> Int[Tensor, " size"]:
    """The assignment with the least sum, over every matrix that units have, of distances between singular values."""
    size = symmetry.groups[group].size
    cost = torch.zeros(size, size, dtype=torch.float64)
    for a in symmetry.groups[group].axes:
        fixed, moving = (spectra(symmetry, group, a, weights[a.tensor].double()) for weights in (reference, candidate))
        cost += torch.cdist(fixed, moving)
    return best_assignment(-cost)


def spectra(symmetry: Symmetry, group: str, a: Axis, tensor: Tensor) -> Float[Tensor, "size values"]:
    """Singular values of each unit's slice of a tensor, as a matrix of the unit's positions by everything else."""
    places = symmetry.places(group, a)
    slices = tensor.movedim(a.axis, 0)[places.flatten()].reshape(*places.shape, -1)
    return torch.linalg.svdvals(slices)
