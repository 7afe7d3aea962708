"""Networks with buffers that aren't BatchNorm's, trained by plain torch code on Iris, as people's checkpoints are."""

from collections.abc import Callable
from pathlib import Path

import torch
from foreign_checkpoints import save
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stages.datasets import load_fitting, load_test
from stages.params.dataset import Table

IRIS = Table(name="iris")


class SinusoidalPositions(nn.Module):
    """Attention over Iris's four features as a sequence; their positions are a stored constant."""

    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.embed, self.qkv, self.out = nn.Linear(1, dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, 3)
        angles = torch.arange(4.0)[:, None] * 10.0 ** -torch.linspace(0, 2, dim // 2)
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x[:, :, None]) + self.positions
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out((x + nn.functional.scaled_dot_product_attention(q, k, v)).mean(1))


class FourierFeatures(nn.Module):
    """A random projection that is stored, not learned, before two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(4, 8, generator=torch.Generator().manual_seed(7)) / 2)
        self.hidden, self.out = nn.Linear(16, 10), nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies
        return self.out(self.hidden(torch.cat([angles.sin(), angles.cos()], -1)).relu())


def spectrally_normalised() -> nn.Module:
    """Each member has singular vectors of its own, not those that its weights have now (see `train`)."""
    layers = (spectral_norm(nn.Linear(4, 8)), nn.ReLU(), spectral_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 3))
    return nn.Sequential(*layers)


class Standardised(nn.Module):
    """Inputs standardized with what is stored: the same for all members, and never what a new module has."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("std", torch.ones(4))
        self.hidden, self.out = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden((x - self.mean) / self.std).relu())


def standardising_with(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A member's tensors with the statistics that all members share."""
    return state | {"mean": torch.tensor([1.0, -1.0, 2.0, 0.5]), "std": torch.tensor([2.0, 0.5, 1.0, 3.0])}


def train(make: Callable[[], nn.Module], seed: int, steps: int = 120) -> nn.Module:
    """One network, trained on all of Iris's training examples at once; singular vectors are frozen soon."""
    torch.manual_seed(seed)
    data, _ = load_fitting(IRIS, Path("/nonexistent"))
    network = make()
    if isinstance(network, Standardised):
        network.load_state_dict(standardising_with(network.state_dict()))
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    for step in range(steps):
        network.train(step < steps // 20)
        loss = nn.functional.cross_entropy(network(data.inputs), data.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def write_zoo(folder: Path, make: Callable[[], nn.Module], count: int = 10) -> dict[str, float]:
    """Checkpoints of trained networks; their accuracy on Iris's test examples by the names of their files."""
    test, scores = load_test(IRIS, Path("/nonexistent")), {}
    for seed in range(count):
        network = train(make, seed)
        file = save(folder / f"seed{seed}.pt", network.state_dict())
        scores[file.name] = float((network(test.inputs).argmax(1) == test.targets).double().mean())
    return scores
