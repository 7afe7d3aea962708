"""Proofs hold where networks mask, cast or give several outputs, and fail for what isn't a symmetry."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.symmetry.derive import derive
from stages.symmetry.prove import failures, prove, vacuous_groups
from stages.symmetry.table import Axis, Group, Symmetry

TOKENS = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
INPUTS = TOKENS[:, 0]


class Masked(nn.Module):
    """Causal attention with an additive mask of -inf kept as a buffer."""

    def __init__(self, persistent: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(4, 6) for _ in range(3))
        self.out = nn.Linear(6, 3)
        self.register_buffer("mask", torch.full((5, 5), -torch.inf).triu(1), persistent=persistent)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).transpose(-1, -2) + self.mask
        return self.out(scores.softmax(-1) @ self.value(x))


class Normed(nn.Module):
    """A residual stream through RMSNorms that compute in another type by themselves."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.embed, self.up, self.down, self.head = (
            nn.Linear(i, o, bias=False) for i, o in [(4, 8), (8, 5), (5, 8), (8, 3)]
        )
        self.scale, self.dtype = nn.Parameter(torch.ones(8)), dtype

    def norm(self, x: Tensor) -> Tensor:
        narrow = x.to(self.dtype)
        return self.scale * (narrow * torch.rsqrt(narrow.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        return self.head(self.norm(x + self.down(F.silu(self.up(self.norm(x))))))


class Hidden(nn.Module):
    """One hidden layer, and something done with its units before the outputs, or with the outputs."""

    def __init__(self, inner: Callable[[Tensor], Tensor] = torch.relu, outer: Callable = lambda y, h: y) -> None:
        super().__init__()
        self.first, self.second, self.inner, self.outer = nn.Linear(4, 6), nn.Linear(6, 3), inner, outer

    def forward(self, x: Tensor):
        h = self.inner(self.first(x))
        return self.outer(self.second(h), h)


@pytest.mark.parametrize("persistent", [True, False])
def test_infinite_masks_stay_as_they_are(persistent: bool):
    found = derive(Masked(persistent), TOKENS)
    assert found.notes == ()
    assert sorted(group.size for group in found.symmetry.groups.values()) == [6, 6]  # queries with keys; values
    assert vacuous_groups(Masked(persistent), TOKENS, found.symmetry) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_casts_inside_a_network_hide_no_stream(dtype: torch.dtype):
    found = derive(Normed(dtype), INPUTS)
    assert found.notes == ()
    assert sorted((group.size, group.stream) for group in found.symmetry.groups.values()) == [(5, False), (8, True)]


STRUCTURES = {
    "dict": lambda y, h: {"logits": y, "value": y.sum(-1)},
    "tuple": lambda y, h: (y, [y.sum(-1)]),
    "whole numbers": lambda y, h: (y, y.argmax(-1)),
    "complex": lambda y, h: torch.complex(y, y.cos()),
    "some rows undefined": lambda y, h: torch.cat([y, y / 0 - y / 0]),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_all_outputs_of_any_structure_are_compared(name: str):
    found = derive(Hidden(outer=STRUCTURES[name]), INPUTS)
    assert list(found.symmetry.groups) == ["first"]
    assert vacuous_groups(Hidden(outer=STRUCTURES[name]), INPUTS, found.symmetry) == []


TABLE = Symmetry({"first": Group(6, (Axis("first.weight", 0), Axis("first.bias", 0), Axis("second.weight", 1)))})
SHOWING = {
    "a unit in a dict": lambda y, h: {"logits": y, "unit": h[:, 0]},
    "a unit in a tuple": lambda y, h: (y, h[:, 0]),
    "which unit is largest": lambda y, h: (y, h.argmax(-1)),
    "a unit that decides what is defined": lambda y, h: y / (h[:, :1] > h[:, 1:2]),
    "a unit as an imaginary part": lambda y, h: torch.complex(y, h[:, :3]),
}


@pytest.mark.parametrize("name", SHOWING)
def test_a_change_of_any_output_is_found(name: str):
    assert list(failures(Hidden(torch.tanh, SHOWING[name]), torch.randn(40, 4), TABLE)) == ["first"]
    assert failures(Hidden(torch.tanh), INPUTS, TABLE) == {}


@pytest.mark.parametrize("seed", range(4))
def test_outputs_that_are_defined_only_for_one_order_are_a_change(seed: int):
    class Undefined(Hidden):
        def forward(self, x: Tensor):
            return self.second(x[:, :1] * 0 + 1), (self.first.bias[0] - self.first.bias[1]).log()

    net = Undefined()
    net.second = nn.Linear(1, 3)
    table = Symmetry({"first": Group(2, (Axis("first.bias", 0),))})
    assert list(failures(net, INPUTS, table, seed)) == ["first"]


@pytest.mark.parametrize(
    ("outer", "line"),
    [
        (lambda y, h: y * torch.nan, "outputs at random weights aren't finite: no group can be proved"),
        (lambda y, h: (y * 1e300).exp().square() + torch.inf, "outputs at random weights aren't finite"),
        (lambda y, h: y * 0, "outputs at random weights are all zero: no group can be proved"),
    ],
)
def test_outputs_that_tell_nothing_are_named_as_such(outer: Callable, line: str):
    proved = prove(Hidden(outer=outer), INPUTS, TABLE)
    assert proved.symmetry == Symmetry()
    assert len(proved.notes) == 1
    assert line in proved.notes[0]
    assert "group 'first'" not in proved.notes[0]


def test_a_network_that_overflows_at_large_weights_is_proved_at_small_ones():
    net = Hidden(lambda x: (2000 * x).exp().exp())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert prove(net, INPUTS * 0.1, TABLE).notes == ()


def powers(net: nn.Module, example: Tensor) -> dict[str, bool]:
    symmetry = derive(net, example).symmetry
    return {name: name in symmetry.rescalable for name in symmetry.groups}


def test_units_that_are_averaged_can_not_be_rescaled():
    attended = Hidden(lambda x: F.relu(x) - 0, lambda y, h: y * h.mean(-1, keepdim=True))
    summed = Hidden(torch.relu, lambda y, h: y * h.sum(-1, keepdim=True))
    largest = Hidden(torch.relu, lambda y, h: y * h.amax(-1, keepdim=True))
    for net in (attended, summed, largest):
        found = derive(net, INPUTS)
        assert found.notes == ()  # it isn't even claimed
        assert powers(net, INPUTS) == {"first": False}
    assert powers(Hidden(), INPUTS) == {"first": True}


def test_means_over_positions_keep_channels_rescalable():
    images = torch.randn(2, 3, 8, 8)
    for layers in (
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)],
        [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 9, 2)],
    ):
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), *layers)
        assert powers(net, images) == {"0": True}


def test_a_rescaling_that_fails_its_proof_is_left_out_and_the_group_stays():
    scaled = tuple(a._replace(power=p) for a, p in zip(TABLE.groups["first"].axes, (1, 1, -1), strict=True))
    table = Symmetry({"first": Group(6, scaled)})
    proved = prove(Hidden(F.gelu), INPUTS, table)
    assert proved.symmetry == TABLE
    assert len(proved.notes) == 1
    assert "group 'first' can't be rescaled: a random rescaling changes the outputs by" in proved.notes[0]
    assert prove(Hidden(torch.relu), INPUTS, table) == (table, ())


def test_half_a_rescaling_is_none():
    axes = TABLE.groups["first"].axes
    table = Symmetry({"first": Group(6, (axes[0]._replace(power=1), axes[1], axes[2]._replace(power=-1)))})
    assert prove(Hidden(torch.relu), INPUTS, table).symmetry.rescalable == ()  # the bias doesn't follow


def test_a_table_without_groups_needs_no_proof():
    assert prove(nn.Linear(99, 2), INPUTS, Symmetry()) == (Symmetry(), ())  # which isn't even run
    assert vacuous_groups(nn.Linear(99, 2), INPUTS, Symmetry()) == []


@pytest.mark.parametrize("units", [2, 3])
def test_small_groups_that_are_really_one_are_told_apart(units: int):
    """Queries' dimensions are the keys': permuted alike by chance, they would hide that they aren't two groups."""

    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key = nn.Linear(4, units), nn.Linear(4, units)

        def forward(self, x: Tensor) -> Tensor:
            return self.query(x) @ self.key(x).mT

    table = Symmetry(
        {name: Group(units, (Axis(f"{name}.weight", 0), Axis(f"{name}.bias", 0))) for name in ("query", "key")}
    )
    for seed in range(5):
        assert set(failures(Scores(), TOKENS, table, seed)) == {"query", "key"}
