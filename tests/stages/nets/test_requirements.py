"""What can't be worked with is said in one line that names the limit and the way out."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.errors import UsageError
from stages.nets.requirements import check_network, check_reproducible

INPUTS = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two linear maps with something in between, and outputs of some structure."""

    def __init__(self, between: Callable[[Tensor], Tensor] = torch.relu, after: Callable = lambda y: y) -> None:
        super().__init__()
        self.first, self.second, self.between, self.after = nn.Linear(4, 6), nn.Linear(6, 3), between, after

    def forward(self, x: Tensor):
        return self.after(self.second(self.between(self.first(x))))


class Complex(Net):
    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Parameter(torch.randn(3, dtype=torch.complex64))


class TwoInputs(Net):
    def forward(self, x: Tensor, time: Tensor):
        return super().forward(x + time)


def normed() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)))


LIMITS = {
    "dropout": (Net(lambda x: F.dropout(x, 0.3)), r"other outputs for the same input .*dropout.*deterministic"),
    "sampling": (Net(lambda x: x + torch.randn_like(x)), r"other outputs for the same input"),
    "rare dropout": (Net(lambda x: x + 1e-2 * torch.randn_like(x)), r"other outputs for the same input"),
    "dict": (Net(after=lambda y: {"logits": y}), r"gives a dict, expected one tensor; wrap forward"),
    "tuple": (Net(after=lambda y: (y, y)), r"gives a tuple, expected one tensor; wrap forward"),
    "nothing": (Net(after=lambda y: None), r"gives a NoneType without tensors; wrap forward"),
    "two inputs": (TwoInputs(), r"missing 1 required .*'time'\); forward must take one tensor.*wrap one that takes"),
    "fixed batch": (Net(lambda x: x.view(2, 6)), r"a batch of 3 inputs of shape \(4,\).*any batch size"),
    "other shape": (nn.Linear(5, 2), r"a batch of 2 inputs of shape \(4,\).*check the network's input"),
    "complex": (Complex(), r"parameter 'spectrum' is complex64.*view_as_real"),
    "weight_norm": (normed(), r"can't be copied .*parametrizations\.weight_norm"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_named_in_one_line(name: str):
    module, expected = LIMITS[name]
    with pytest.raises(UsageError, match=expected) as caught:
        check_network(module, INPUTS, "mine:net")
    assert str(caught.value).startswith("mine:net")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("module", [Net(), Net(lambda x: x / 0), nn.Dropout(0.5)], ids=["plain", "nan", "dropout"])
def test_what_can_be_worked_with_passes(module: nn.Module):
    check_network(module.train(), INPUTS, "mine:net")


@pytest.mark.parametrize("after", [lambda y: {"a": y, "b": y[:, 0]}, lambda y: (y, [y])])
def test_several_outputs_are_fine_where_nothing_is_scored(after: Callable):
    check_network(Net(after=after), INPUTS, "mine:net", one_tensor=False)
    noisy = Net(after=lambda y: after(y + torch.randn_like(y)))
    with pytest.raises(UsageError, match="other outputs"):
        check_network(noisy, INPUTS, "mine:net", one_tensor=False)


def test_random_generators_stay_as_they_were():
    net = Net(lambda x: F.dropout(x, 0.3))
    before = torch.get_rng_state()
    with pytest.raises(UsageError):
        check_network(net, INPUTS, "mine:net")
    assert torch.equal(torch.get_rng_state(), before)


class Features(nn.Module):
    """Random features, kept in one way or another."""

    def __init__(self, kept: str, seeded: bool) -> None:
        super().__init__()
        values = torch.randn(4, 6, generator=torch.Generator().manual_seed(3) if seeded else None)
        if kept == "attribute":
            self.features = values
        else:
            self.register_buffer("features", values, persistent=kept == "stored")


@pytest.mark.parametrize("kept", ["attribute", "unstored", "stored"])
@pytest.mark.parametrize("seeded", [True, False])
def test_what_is_drawn_anew_and_not_stored_is_refused_by_name(kept, seeded):
    pair = [nn.Sequential(Features(kept, seeded)) for _ in range(2)]
    if kept == "stored" or seeded:
        check_reproducible(*pair, "zoo.network")
    else:
        with pytest.raises(UsageError, match=r"zoo\.network: '0\.features' is drawn anew .* generator with a seed"):
            check_reproducible(*pair, "zoo.network")


def test_weights_that_a_hook_computes_are_not_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_reproducible(*(nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 3))) for _ in range(2)), "x")


class Caching(Net):
    """Keeps what it computed from its weights: until its mode changes, or for good."""

    def __init__(self, drops: bool) -> None:
        super().__init__()
        self.cache: dict[str, Tensor] = {}
        self.drops = drops

    def train(self, mode: bool = True):
        if mode and self.drops:
            self.cache = {}
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if "doubled" not in self.cache:
            self.cache["doubled"] = 2 * self.first.weight.detach()
        return self.second(F.linear(x, self.cache["doubled"]))


def test_a_network_that_keeps_what_it_computed_is_refused_unless_it_drops_it():
    check_network(Caching(drops=True), INPUTS, "zoo.network")
    with pytest.raises(UsageError, match=r"zoo\.network keeps something that it computed from its weights"):
        check_network(Caching(drops=False), INPUTS, "zoo.network")
