"""The algebra of axis structures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.symmetry.structure import (
    Concat,
    Product,
    Units,
    at_position,
    concat,
    fix,
    product,
    resolve,
    size,
    units_in,
)
from stages.symmetry.unification import leading_factor, leading_piece, reshape, segment, unify, unshare


def shape(axis) -> object:
    """Its structure in words, e.g. ("product", 2, ("concat", 1, 3))."""
    found = resolve(axis)
    if isinstance(found, Units):
        return found.size
    return ("product" if isinstance(found, Product) else "concat", *(shape(part) for part in found.parts))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_views_split_and_merge_to_the_same_units(sizes):
    whole = Units(size(product([Units(n) for n in sizes])))
    parts = reshape([whole], sizes)
    assert [size(p) for p in parts] == sizes
    (back,) = reshape(parts, [whole.size])
    assert [u for u in units_in(back) if u.size > 1] == [u for u in units_in(whole) if u.size > 1]


def test_a_view_that_tears_units_apart_fixes_them():
    a, b = Units(4), Units(3)
    reshape([a, b], [6, 2])
    assert shape(a) == ("product", 2, 2) or all(u.fixed for u in units_in(a))
    found = reshape([Units(4), Units(3)], [3, 4])
    assert all(u.fixed for e in found for u in units_in(e))


def test_unified_sets_are_one():
    a, b, c = Units(6), Units(6), Units(6)
    unify(a, b)
    unify(b, c)
    assert resolve(a) is resolve(c)
    fix(a)
    assert next(units_in(c)).fixed


def test_a_product_met_by_a_set_gives_it_its_structure():
    whole, parts = Units(6), [Units(2), Units(3)]
    unify(whole, product(parts))
    assert shape(whole) == ("product", 2, 3)
    assert list(units_in(whole)) == parts


def test_products_are_refined_until_they_meet():
    a, b = product([Units(2), Units(6)]), product([Units(4), Units(3)])
    unify(a, b)
    assert shape(a) == shape(b) == ("product", 2, 2, 3)
    assert list(units_in(a)) == list(units_in(b))
    assert not any(u.fixed for u in units_in(a))


def test_concatenations_are_refined_until_they_meet():
    a, b = concat([Units(2), Units(5)]), concat([Units(4), Units(3)])
    unify(a, b)
    assert shape(a) == shape(b) == ("concat", 2, 2, 3)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (product([Units(2), Units(3)]), product([Units(3), Units(2)])),
        (product([Units(2), Units(3)]), concat([product([Units(2), Units(2)]), Units(2)])),
        (Units(4), Units(5)),
    ],
)
def test_structures_that_cannot_agree_are_fixed(a, b):
    unify(a, b)
    assert all(u.fixed for e in (a, b) for u in units_in(e))


def test_what_is_fixed_or_scaled_or_streamed_stays_so_in_its_parts():
    whole = Units(6, "a constant", homogeneous=False, stream=True)
    parts = leading_factor(whole, 2)
    assert parts is not None
    assert [(u.fixed, u.homogeneous, u.stream) for p in parts for u in units_in(p)] == [(True, False, True)] * 2


def test_segments_of_a_set_let_it_be_a_concatenation():
    whole = Units(9)
    middle = segment(whole, 2, 5)
    assert shape(whole) == ("concat", 2, 3, 4)
    assert middle is list(units_in(whole))[1]
    assert leading_piece(product([Units(2), Units(3)]), 2) is None


def test_positions_taken_apart_have_units_of_their_own():
    """A fused projection: 3 x heads x dimensions, cut into queries, keys and values."""
    whole = Units(3 * 2 * 5)
    three, heads, width = reshape([whole], [3, 2, 5])
    assert isinstance(three, Units)
    unshare(three)
    queries, keys = (at_position(width, three, i) for i in (0, 1))
    assert queries is not keys
    assert shape(whole) == ("concat", ("product", 2, 5), ("product", 2, 5), ("product", 2, 5))
    unify(at_position(heads, three, 0), at_position(heads, three, 2))
    found = resolve(whole)
    assert isinstance(found, Concat)
    assert [next(units_in(part)) is next(units_in(found.parts[0])) for part in found.parts] == [True, False, True]
