"""Units may change their signs where only odd functions, or nothing that sees signs, read them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.symmetry.derive import derive
from stages.symmetry.prove import prove
from stages.symmetry.table import Group, Symmetry

INPUTS = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


class Two(nn.Module):
    """Two hidden layers with one activation."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c, self.activation = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2), activation

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.activation(self.b(self.activation(self.a(x)))))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return self.c(torch.tanh(self.a(x) + self.b(h)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        return self.d(h + self.c(torch.tanh(self.b(h))))


ODD = {
    "tanh": torch.tanh,
    "softsign": F.softsign,
    "erf": torch.erf,
    "sine": lambda x: (30 * x).sin(),
    "hardtanh": F.hardtanh,
    "clamp": lambda x: x.clamp(-2, 2),
    "tanhshrink": F.tanhshrink,
    "cube": lambda x: x**3,
    "x |x|": lambda x: x * x.abs(),
    "normed": lambda x: x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
    "identity": lambda x: x,
}
OTHERS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "cosine": torch.cos,
    "square": lambda x: x * x,
    "hardtanh of unequal ends": lambda x: F.hardtanh(x, -1, 2),
    "clamp at one end": lambda x: x.clamp(-1),
    "shifted tanh": lambda x: torch.tanh(x) + 0.1,
    "softmax": lambda x: x.softmax(-1),
    "centred": lambda x: x - x.mean(-1, keepdim=True),
    "its own average": lambda x: x * x.mean(-1, keepdim=True),
    "odd and even": lambda x: x.tanh() + x.abs(),
    "cumulative": lambda x: x.cumsum(-1),
}


@pytest.mark.parametrize("name", ODD)
def test_units_of_odd_functions_may_change_their_signs(name: str):
    found = derive(Two(ODD[name]), INPUTS)
    assert found.symmetry.flippable == ("a", "b")
    assert found.notes == ()
    for group in found.symmetry.groups.values():
        assert [(a.tensor.partition(".")[2], a.flips) for a in group.axes] == [
            ("weight", True),
            ("bias", True),
            ("weight", True),
        ]


@pytest.mark.parametrize("name", OTHERS)
def test_units_of_other_functions_may_not_and_it_is_not_even_claimed(name: str):
    found = derive(Two(OTHERS[name]), INPUTS)
    assert found.symmetry.flippable == ()
    assert not any("signs" in note for note in found.notes)


@pytest.mark.parametrize(("net", "groups"), [(Recurrent(), ("a",)), (Residual(), ("a", "b"))])
def test_sums_of_the_same_units_change_their_signs_together(net: nn.Module, groups: tuple[str, ...]):
    found = derive(net, INPUTS)
    assert found.symmetry.flippable == groups
    assert found.notes == ()


def test_channels_change_their_signs_but_not_those_of_grouped_convolutions():
    images = torch.randn(2, 4, 8, 8)
    tail = [nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6 * 9, 2)]
    assert derive(nn.Sequential(nn.Conv2d(4, 6, 3), *tail), images).symmetry.flippable == ("0",)
    depthwise = [nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 3, groups=6)]
    found = derive(nn.Sequential(*depthwise, *tail), images)
    assert found.symmetry.flippable == ()
    assert found.notes == ()


def test_positions_that_a_layer_with_a_bias_mixes_keep_their_signs():
    class Mixer(nn.Module):
        def __init__(self, bias: bool) -> None:
            super().__init__()
            self.a, self.mix, self.b = nn.Linear(4, 6), nn.Linear(3, 5, bias=bias), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.mix(self.a(x).transpose(1, 2)).transpose(1, 2))

    tokens = torch.randn(2, 3, 4)
    assert "a" not in derive(Mixer(bias=True), tokens).symmetry.flippable
    assert "a" in derive(Mixer(bias=False), tokens).symmetry.flippable
    assert derive(Mixer(bias=True), tokens).notes == ()


def test_a_change_of_signs_that_fails_its_proof_is_left_out_and_the_group_stays():
    table = derive(Two(torch.tanh), INPUTS).symmetry
    proved = prove(Two(F.gelu), INPUTS, table)
    assert proved.symmetry.flippable == ()
    assert list(proved.symmetry.groups) == ["a", "b"]
    assert [note.partition(":")[0] for note in proved.notes] == [f"group {g!r} can't change its signs" for g in "ab"]
    half = {n: Group(g.size, (*g.axes[:-1], g.axes[-1]._replace(flips=False))) for n, g in table.groups.items()}
    assert prove(Two(torch.tanh), INPUTS, Symmetry(half)).symmetry.flippable == ()
    assert prove(Two(torch.tanh), INPUTS, table) == (table, ())
