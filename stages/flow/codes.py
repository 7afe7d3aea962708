"""Principal components of rows from their Gram matrix: exact, streamed, and never of size components x parameters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Blocks = Iterable[tuple[int, int, Tensor]]
"""Column blocks of the rows: (start, stop, values [networks, stop - start])."""
FLOOR = 1e-7
"""Eigenvalues below this share of the largest count as zero."""


def mean_and_gram(blocks: Blocks, train: Tensor, parameters: int) -> tuple[Tensor, Float[Tensor, "n n"]]:
    """The mean row [parameters] over the networks that `train` [n] marks, and all rows' inner products around it.

    Each block is centred before it is multiplied, in float32, and added up in float64: uncentred products lose the
    spectrum when the mean is large against the spread. Raises ValueError naming a network with a weight that isn't finite.
    """
    mean = torch.empty(parameters)
    gram = torch.zeros(len(train), len(train), dtype=torch.float64)
    for start, stop, block in blocks:
        mean[start:stop] = block[train].double().mean(0).float()
        if not torch.isfinite(block).all():
            bad = int((~torch.isfinite(block)).any(1).nonzero()[0])
            raise ValueError(f"network {bad} has a weight that isn't finite in columns {start}:{stop}")
        centred = block - mean[start:stop]
        gram += (centred @ centred.T).double()
    return mean, gram


def spectrum(gram: Float[Tensor, "n n"]) -> Tensor:
    """The variances along the n - 1 principal directions of n rows, descending: eigenvalues of the centred Gram over n."""
    return torch.linalg.eigvalsh(gram).flip(0)[:-1].clamp_min(0) / len(gram)


def effective_rank(values: Tensor) -> float:
    """Exp of the entropy of the normalized spectrum (Roy and Vetterli 2007)."""
    share = values / values.sum()
    share = share[share > 0]
    return float(torch.exp(-(share * share.log()).sum()))


@dataclass(frozen=True)
class Codes:
    """Principal components held as weights over the networks they were made from.

    A component is `basis[:, j] @ centred rows`; codes are coordinates along components, optionally divided by their
    standard deviations (`whiten`). A row decodes to `mean + (codes * scale) @ basis.T @ centred rows`.
    """

    basis: Float[Tensor, "train k"]
    scale: Float[Tensor, " k"]

    @property
    def components(self) -> int:
        """Number of coordinates k."""
        return len(self.scale)

    def encode(self, products: Float[Tensor, "n train"]) -> Float[Tensor, "n k"]:
        """Codes of networks, from their centred inner products with the networks that the basis is made of."""
        return (products.double() @ self.basis / self.scale).float()

    def mixture(self, codes: Float[Tensor, "n k"]) -> Float[Tensor, "n train"]:
        """How much of each centred training row makes up each network."""
        return (codes.double() * self.scale) @ self.basis.T

    def decode(self, codes: Float[Tensor, "n k"], mean: Tensor, blocks: Blocks) -> Iterator[tuple[int, int, Tensor]]:
        """Column blocks of the networks with these codes; `blocks` are the training rows', in any column order."""
        mixture = self.mixture(codes).float()
        for start, stop, block in blocks:
            yield start, stop, mean[start:stop] + mixture @ (block - mean[start:stop])


def principal_codes(gram: Float[Tensor, "train train"], components: int | None, whiten: bool) -> Codes:
    """The leading components of a centred Gram matrix; all that carry variance if `components` is None."""
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0), vectors.flip(1)
    kept = min(int((values > FLOOR * values[0]).sum()), len(gram) - 1)  # centring takes one
    k = kept if components is None else min(components, kept)
    norms = values[:k].sqrt()
    scale = norms / len(gram) ** 0.5 if whiten else torch.ones_like(norms)
    return Codes(_signed(vectors[:, :k]) / norms, scale)


def _signed(vectors: Tensor) -> Tensor:
    """Fix each eigenvector's sign by its largest entry, so that equal matrices give equal codes."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * largest.sign()
