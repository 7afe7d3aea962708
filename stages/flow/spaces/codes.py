"""Principal components of rows, exact and streamed: by their Gram matrix, or their covariance where that is smaller."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

ColumnBlocks = Iterable[tuple[int, int, Tensor]]
"""Column blocks of the rows: (start, stop, values [networks, stop - start])."""
RowBlocks = Iterable[tuple[int, int, Tensor]]
"""Blocks of whole rows: (start, stop, values [stop - start, parameters])."""
FLOOR = 1e-7
"""Eigenvalues below this share of the largest count as zero."""


def mean_and_gram(blocks: ColumnBlocks, train: Tensor, parameters: int) -> tuple[Tensor, Float[Tensor, "n n"]]:
    """The mean row [parameters] over the networks that `train` [n] marks, and all rows' inner products around it.

    Each block is centred before it is multiplied, in float32, and added up in float64: uncentred products lose the
    spectrum when the mean is large against the spread.

    Raises ValueError naming a network with a weight that isn't finite.
    """
    mean = torch.empty(parameters)
    gram = torch.zeros(len(train), len(train), dtype=torch.float64)
    for start, stop, block in blocks:
        mean[start:stop] = block[train].double().mean(0).float()
        _check(block, 0, f"columns {start}:{stop}")
        centred = block - mean[start:stop]
        gram += (centred @ centred.T).double()
    return mean, gram


def mean_and_covariance(blocks: RowBlocks, train: Tensor, parameters: int) -> tuple[Tensor, Float[Tensor, "p p"]]:
    """The mean row [parameters] of the networks that `train` [n] marks, and the covariance of their parameters.

    One pass in float64, around one of the rows, which is as near to the mean as the spread is wide. Raises ValueError
    naming a network with a weight that isn't finite.
    """
    total = torch.zeros(parameters, dtype=torch.float64)
    products = torch.zeros(parameters, parameters, dtype=torch.float64)
    centre = None
    for start, stop, block in blocks:
        _check(block, start, f"columns 0:{parameters}")
        rows = block[train[start:stop]].double()
        if len(rows):
            centre = rows[0].clone() if centre is None else centre
            products.addmm_((rows - centre).T, rows - centre)
            total += (rows - centre).sum(0)
    shift = total / int(train.sum())
    mean = shift if centre is None else centre + shift
    return mean.float(), products / int(train.sum()) - torch.outer(shift, shift)


def _check(block: Tensor, first: int, where: str) -> None:
    if not torch.isfinite(block).all():
        bad = first + int((~torch.isfinite(block)).any(1).nonzero()[0])
        raise ValueError(f"network {bad} has a weight that isn't finite in {where}")


def spectrum(gram: Float[Tensor, "n n"]) -> Tensor:
    """The variances along the n - 1 principal directions of n rows, descending: the Gram matrix's eigenvalues/n."""
    return torch.linalg.eigvalsh(gram).flip(0)[:-1].clamp_min(0) / len(gram)


def principal_directions(covariance: Float[Tensor, "p p"], count: int) -> tuple[Tensor, Float[Tensor, "p k"]]:
    """The variances along the principal directions, descending, at most `count` of them, and these, of unit length."""
    values, vectors = torch.linalg.eigh(covariance)
    return values.flip(0)[:count].clamp_min(0), _signed(vectors.flip(1)[:, :count])


def effective_rank(values: Tensor) -> float:
    """Exp of the entropy of the normalized spectrum (Roy and Vetterli 2007)."""
    share = values / values.sum()
    share = share[share > 0]
    return float(torch.exp(-(share * share.log()).sum()))


@dataclass(frozen=True)
class Codes:
    """Principal components held as weights over what spans them: the centred networks they were made from or, `direct`,
    the parameters, where these are fewer.

    A component is `basis[:, j] @ centred rows`, or `basis[:, j]` itself; codes are coordinates along components,
    optionally divided by their standard deviations (`whiten`).
    """

    basis: Float[Tensor, "span k"]
    scale: Float[Tensor, " k"]
    direct: bool = False

    @property
    def components(self) -> int:
        """Number of coordinates k."""
        return len(self.scale)

    def encode(self, products: Float[Tensor, "n span"]) -> Float[Tensor, "n k"]:
        """Codes of networks, from the inner products of their centred rows with what spans the basis."""
        return (products.double() @ self.basis / self.scale).float()

    def encode_rows(self, rows: Float[Tensor, "n p"], mean: Tensor, train: Float[Tensor, "train p"]) -> Tensor:
        """Codes [n, k] of networks given as rows; `train` are the rows that the basis was made from."""
        return self.encode(rows - mean if self.direct else (rows - mean) @ (train - mean).T)

    def mixture(self, codes: Float[Tensor, "n k"]) -> Float[Tensor, "n span"]:
        """Weight of each centred training row in each network; if `direct`, its centred row."""
        return (codes.double() * self.scale) @ self.basis.T

    def decode(
        self, codes: Float[Tensor, "n k"], mean: Tensor, blocks: ColumnBlocks
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Column blocks of the networks with these codes; `blocks` are the training rows', in any column order."""
        mixture = self.mixture(codes).float()
        for start, stop, block in blocks:
            centred = mixture[:, start:stop] if self.direct else mixture @ (block - mean[start:stop])
            yield start, stop, mean[start:stop] + centred

    def decode_rows(self, codes: Float[Tensor, "n k"], mean: Tensor, train: Float[Tensor, "train p"]) -> Tensor:
        """The same at once, as rows [n, parameters]."""
        return next(self.decode(codes, mean, [(0, len(mean), train)]))[2]


def principal_codes(gram: Float[Tensor, "train train"], components: int | None, whiten: bool) -> Codes:
    """The leading components of a centred Gram matrix; all that carry variance if `components` is None."""
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0), vectors.flip(1)
    k = _rank(values[:-1], components)  # centring takes one
    norms = values[:k].sqrt()
    scale = norms / len(gram) ** 0.5 if whiten else torch.ones_like(norms)
    return Codes(_signed(vectors[:, :k]) / norms, scale)


def codes_along(
    directions: Float[Tensor, "p k"], variance: Float[Tensor, " k"], components: int | None, whiten: bool
) -> Codes:
    """The same from `principal_directions`."""
    k = _rank(variance, components)
    scale = variance[:k].sqrt()
    return Codes(directions[:, :k], scale if whiten else torch.ones_like(scale), direct=True)


def _rank(values: Tensor, components: int | None) -> int:
    """The number of leading components that are asked for and carry variance."""
    rank = int((values > FLOOR * values[:1]).sum())
    return rank if components is None else min(components, rank)


def _signed(vectors: Tensor) -> Tensor:
    """Fix each eigenvector's sign by its largest entry, so that equal matrices give equal codes."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * largest.sign()
