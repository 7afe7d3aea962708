"""Small networks with habits to cope with, or to refuse in one line; of four inputs and three outputs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Hidden(nn.Module):
    """One hidden layer, and something done with its units."""

    def __init__(self, inner: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.first, self.second, self.inner = nn.Linear(4, 6), nn.Linear(6, 3), inner

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.inner(self.first(x)))


class TwoHeads(Hidden):
    """Gives a dict."""

    def forward(self, x: Tensor):
        return {"logits": super().forward(x), "first": self.first(x).square().sum(-1)}


class Masked(Hidden):
    """Adds a mask of -inf, a stored buffer, to scores between its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(((x[:, :, None] * x[:, None] + self.mask).softmax(-1) @ x[:, :, None]).squeeze(-1))


def always_dropping() -> nn.Module:
    """Dropout that doesn't know of evaluation mode."""
    return Hidden(lambda x: F.dropout(x.relu(), 0.3))


def casting() -> nn.Module:
    """RMSNorm in float32, whatever the input's type."""

    def norm(x: Tensor) -> Tensor:
        narrow = x.float()
        return (narrow * torch.rsqrt(narrow.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)

    return Hidden(norm)


def branching() -> nn.Module:
    """A branch that depends on the data: it has no graph."""
    return Hidden(lambda x: x.relu() * 2 if bool(x.sum() > 0) else x.relu())


def sine() -> nn.Module:
    """A layer of SIREN."""
    return Hidden(lambda x: (30 * x).sin())
