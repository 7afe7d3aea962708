"""Elements of permutations, signs and scales form a group, act as one, and keep what a network computes."""

import pytest
import torch
from hypothesis import given
from strategies import assert_close, generators
from torch import Tensor
from torch.func import functional_call

from stages.symmetry.element import Element, random_element
from stages.symmetry.rebasin import match
from stages.symmetry.table import Axis, Group, Symmetry


def layer(name: str, size: int, below: str, above: str, power: int, flips: bool) -> dict[str, Group]:
    """Units between two linear maps."""
    axes = [(f"{below}.weight", 0, 1), (f"{below}.bias", 0, 1), (f"{above}.weight", 1, -1)]
    return {name: Group(size, tuple(Axis(t, i, p * power, flips=flips) for t, i, p in axes))}


NET = torch.nn.Sequential(
    torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4),
    torch.nn.Identity(), torch.nn.Linear(4, 2),
).double()  # fmt: skip
TABLE = Symmetry(
    layer("tanh", 4, "0", "2", 0, True) | layer("relu", 5, "2", "4", 1, False) | layer("none", 4, "4", "6", 1, True)
)
INPUTS = torch.randn(20, 3, generator=torch.Generator().manual_seed(1)).double()


def random_weights(draw: torch.Generator) -> dict[str, Tensor]:
    return {n: torch.randn(t.shape, generator=draw).double() for n, t in NET.state_dict().items()}


def outputs(weights: dict[str, Tensor]) -> Tensor:
    return functional_call(NET, weights, (INPUTS,)).detach()


def same(a: Element, b: Element) -> None:
    for kind in ("permutations", "signs", "scales"):
        one, two = getattr(a, kind), getattr(b, kind)
        assert one.keys() == two.keys()
        for name in one:
            assert torch.allclose(one[name].double(), two[name].double(), rtol=1e-12)


@given(one=generators(), two=generators(), three=generators())
def test_elements_form_a_group(one, two, three):
    a, b, c = (random_element(TABLE, draw) for draw in (one, two, three))
    unit = a.then(TABLE, a.inverse(TABLE))
    assert all(torch.equal(p, TABLE.identity()[name]) for name, p in unit.permutations.items())
    assert all(bool((s == 1).all()) for s in unit.signs.values())
    same(a.then(TABLE, b).then(TABLE, c), a.then(TABLE, b.then(TABLE, c)))
    same(a.inverse(TABLE).then(TABLE, a), unit)
    same(a.then(TABLE, unit), a)
    same(unit.then(TABLE, a), a)
    same(a.then(TABLE, b).inverse(TABLE), b.inverse(TABLE).then(TABLE, a.inverse(TABLE)))


@given(one=generators(), two=generators())
def test_to_act_by_a_composition_is_to_act_by_one_after_the_other(one, two):
    weights, a, b = random_weights(one), random_element(TABLE, one), random_element(TABLE, two)
    at_once, in_turn = a.then(TABLE, b).act(TABLE, weights), b.act(TABLE, a.act(TABLE, weights))
    for name in weights:
        assert_close(at_once[name], in_turn[name])


@given(draw=generators())
def test_a_random_element_keeps_the_function_and_half_of_one_does_not(draw):
    weights, element = random_weights(draw), random_element(TABLE, draw)
    assert_close(outputs(element.act(TABLE, weights)), outputs(weights))
    turned = Element(TABLE.identity(), {"tanh": -torch.ones(4)})
    assert_close(outputs(turned.act(TABLE, weights)), outputs(weights))
    half = Symmetry({"tanh": Group(4, TABLE.groups["tanh"].axes[:2])})
    gap = (outputs(turned.act(half, weights)) - outputs(weights)).abs().max()
    assert gap > 1e-6 * outputs(weights).abs().max()


@given(draw=generators())
def test_orders_and_signs_are_undone_bit_for_bit_in_float32(draw):
    weights = {name: tensor.float() for name, tensor in random_weights(draw).items()}
    whole = random_element(TABLE, draw)
    element = Element(whole.permutations, whole.signs)
    back = element.inverse(TABLE).act(TABLE, element.act(TABLE, weights))
    assert all(torch.equal(back[name], tensor) for name, tensor in weights.items())


def test_groups_that_are_left_out_stay():
    weights = random_weights(torch.Generator().manual_seed(0))
    assert Element({}).act(TABLE, weights).keys() == weights.keys()
    assert all(torch.equal(t, weights[n]) for n, t in Element({}).act(TABLE, weights).items())
    one = Element(TABLE.identity(), {"tanh": torch.tensor([1, -1, 1, 1])})
    moved = one.act(TABLE, weights)
    assert torch.equal(moved["0.weight"][1], -weights["0.weight"][1])
    assert torch.equal(moved["0.bias"], weights["0.bias"] * torch.tensor([1, -1, 1, 1]))
    assert torch.equal(moved["2.weight"][:, 1], -weights["2.weight"][:, 1])
    assert all(torch.equal(moved[name], weights[name]) for name in ("2.bias", "4.weight", "4.bias", "6.weight"))


HIDDEN = Symmetry(layer("hidden", 6, "0", "2", 0, True))
UNSIGNED = Symmetry(layer("hidden", 6, "0", "2", 0, False))


def hidden_weights(draw: torch.Generator) -> dict[str, Tensor]:
    shapes = {"0.weight": (6, 3), "0.bias": (6,), "2.weight": (2, 6)}
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


@given(draw=generators())
def test_a_copy_with_other_order_and_signs_is_brought_back_exactly(draw):
    reference = hidden_weights(draw)
    copy = random_element(HIDDEN, draw).act(HIDDEN, reference)
    found = match(HIDDEN, reference, copy, draw)
    back = found.element.act(HIDDEN, copy)
    assert all(torch.equal(back[name], tensor) for name, tensor in reference.items())
    assert found.after == pytest.approx(sum(float(t.double().square().sum()) for t in reference.values()))


@given(draw=generators())
def test_signs_bring_networks_closer_than_orders_alone(draw):
    reference, other = hidden_weights(draw), hidden_weights(draw)
    signed, unsigned = (match(table, reference, other, draw) for table in (HIDDEN, UNSIGNED))
    assert signed.after >= unsigned.after - 1e-9
    assert unsigned.element.signs == {}
    moved = signed.element.act(HIDDEN, other)
    for unit in range(6):  # the negative control: no sign could be better
        turned = Element({}, {"hidden": torch.ones(6).index_fill(0, torch.tensor([unit]), -1)}).act(HIDDEN, moved)
        assert inner(reference, turned) <= inner(reference, moved) + 1e-5


def inner(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return sum(float((a[name] * b[name]).sum()) for name in a)
