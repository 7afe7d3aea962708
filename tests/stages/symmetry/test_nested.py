"""Groups within groups: heads, and the dimensions in each."""

from itertools import permutations as orders

import pytest
import torch
from attention import Attention
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_close, generators
from torch import Tensor
from torch.func import functional_call

from stages.symmetry.derive import derive
from stages.symmetry.rebasin import match
from stages.symmetry.table import Group, Symmetry
from stages.symmetry.transfusion import nesting_groups, pair_by_spectra, transfuse

TOKENS = torch.randn(2, 5, 12).double()
MODULE = Attention("unbind").double().eval()
TABLE = derive(Attention("unbind"), TOKENS.float()).symmetry
HEADS = nesting_groups(TABLE)[0]
QUERIES, VALUES = TABLE.children[HEADS]
some = st.integers(0, 2**31 - 1)


def weights(seed: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(p.shape, generator=draw).double() for name, p in MODULE.named_parameters()}


def outputs(state: dict[str, Tensor]) -> Tensor:
    return functional_call(MODULE, state, (TOKENS,)).detach()


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def product(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return sum(float((a[name] * b[name]).sum()) for name in TABLE.tensors)


@given(seed=some, draw=generators())
def test_any_element_keeps_what_attention_computes(seed, draw):
    state = weights(seed)
    assert_close(outputs(TABLE.act(TABLE.random(draw), state)), outputs(state), 1e-10)


@given(seed=some, one=generators(), two=generators(), three=generators())
def test_elements_form_a_group_and_act_as_one(seed, one, two, three):
    w, unit = weights(seed), TABLE.identity()
    a, b, c = (TABLE.random(draw) for draw in (one, two, three))
    assert equal(TABLE.act(TABLE.compose(a, b), w), TABLE.act(b, TABLE.act(a, w)))
    assert equal(TABLE.compose(TABLE.compose(a, b), c), TABLE.compose(a, TABLE.compose(b, c)))
    assert equal(TABLE.compose(a, TABLE.invert(a)), unit)
    assert equal(TABLE.compose(TABLE.invert(a), a), unit)
    assert equal(TABLE.act(TABLE.invert(a), TABLE.act(a, w)), w)  # bit for bit


def test_heads_move_whole_and_dimensions_within_them():
    """Twelve queries' rows: heads change places, and in the new first head the dimensions go round."""
    rows = torch.arange(18.0)[:, None].expand(18, 12).double()
    moved = TABLE.act(
        {
            HEADS: torch.tensor([1, 0]),
            QUERIES: torch.tensor([[1, 2, 0], [0, 1, 2]]),
            VALUES: torch.tensor([[0, 1, 2], [0, 1, 2]]),
        },
        weights(0) | {"qkv.weight": rows},
    )
    assert moved["qkv.weight"][:, 0].tolist() == [4, 5, 3, 0, 1, 2, 10, 11, 9, 6, 7, 8, 15, 16, 17, 12, 13, 14]


def test_the_size_counts_every_head_s_own_relabellings():
    assert 10**TABLE.log10_size == pytest.approx(2 * 6**2 * 6**2)  # two heads, three dimensions twice in each


def test_a_table_survives_json():
    assert Symmetry.from_json(TABLE.to_json()) == TABLE


def test_groups_come_after_those_that_they_are_within():
    with pytest.raises(ValueError, match="'inner' is within 'outer'"):
        Symmetry({"inner": Group(2, (), within="outer"), "outer": Group(2, ())})


@pytest.mark.parametrize("matcher", [match, transfuse])
@given(seed=some, relabel=generators(), draw=generators())
def test_a_relabelled_copy_is_recovered_bit_for_bit(matcher, seed, relabel, draw):
    state = weights(seed)
    copy = TABLE.act(TABLE.random(relabel), state)
    assert equal(TABLE.act(matcher(TABLE, state, copy, draw).permutations, copy), state)


@given(seed=some, other=some, draw=generators())
@settings(max_examples=20)
def test_heads_and_dimensions_are_solved_to_the_optimum_together(seed, other, draw):
    """One attention layer has one outer group: the first step must find the best of all 2,592 relabellings."""
    reference, candidate = weights(seed), weights(other)
    rows = [torch.tensor(p) for p in orders(range(3))]
    per_head: dict[tuple[int, int], float] = {}
    for place in range(2):
        for head in range(2):
            best = 0.0
            for inner in (QUERIES, VALUES):
                tables = TABLE.only({HEADS, inner})
                scores = []
                for row in rows:
                    element = TABLE.identity() | {
                        HEADS: torch.tensor([head, 1 - head] if place == 0 else [1 - head, head])
                    }
                    element[inner] = element[inner].clone()
                    element[inner][place] = row
                    moved = TABLE.act(element, candidate)
                    scores.append(
                        sum(
                            float(
                                (
                                    reference[a.tensor].movedim(a.axis, 0)[places]
                                    * moved[a.tensor].movedim(a.axis, 0)[places]
                                ).sum()
                            )
                            for a in tables.groups[inner].axes
                            for places in [TABLE.places(inner, a)[place].flatten()]
                        )
                    )
                best += max(scores)
            per_head[place, head] = best
    optimum = max(per_head[0, 0] + per_head[1, 1], per_head[0, 1] + per_head[1, 0])
    assert match(TABLE, reference, candidate, draw).after == pytest.approx(optimum)


@given(seed=some, other=some, draw=generators())
def test_transfusion_keeps_the_heads_that_spectra_pair(seed, other, draw):
    reference, candidate = weights(seed), weights(other)
    found = transfuse(TABLE, reference, candidate, draw)
    assert torch.equal(found.permutations[HEADS], pair_by_spectra(TABLE, HEADS, reference, candidate))
    paired = TABLE.act(TABLE.identity() | {HEADS: found.permutations[HEADS]}, candidate)
    assert found.after >= product(reference, paired) - 1e-9


@given(seed=some, other=some, relabel=generators())
def test_spectra_do_not_see_the_order_of_dimensions(seed, other, relabel):
    reference, candidate = weights(seed), weights(other)
    inner = TABLE.random(relabel) | {HEADS: torch.arange(2)}
    moved = TABLE.act(inner, candidate)
    before, after = (pair_by_spectra(TABLE, HEADS, reference, c) for c in (candidate, moved))
    assert torch.equal(before, after)


def test_scaled_heads_are_told_apart_by_their_spectra():
    """The control: heads of very different size are paired by size, not by place."""
    state = weights(0)
    large = {name: tensor.clone() for name, tensor in state.items()}
    for start in (0, 6, 12):
        large["qkv.weight"][start : start + 3] *= 10
    swapped = TABLE.act(TABLE.identity() | {HEADS: torch.tensor([1, 0])}, large)
    assert pair_by_spectra(TABLE, HEADS, large, swapped).tolist() == [1, 0]
    assert pair_by_spectra(TABLE, HEADS, large, large).tolist() == [0, 1]
