"""Conditions of a flow, and guidance by them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.errors import UsageError
from stages.flow.conditions import Conditions, conditions_of, guided, network_calls

KINDS = np.array(["normal", "torch", "torch", "uniform"], dtype=object)
SCORES = np.array([0.9, 0.92, 0.94, 0.96])
BOTH = conditions_of({"initialisation": KINDS, "validation_score": SCORES})


def test_categories_are_one_hot_and_numbers_in_standard_deviations():
    encoded = BOTH.encode({"initialisation": KINDS, "validation_score": SCORES})
    assert BOTH.width == 3 + 2
    assert encoded[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert torch.allclose(encoded[:, 3], torch.tensor([-1.5, -0.5, 0.5, 1.5]) / 1.25**0.5, atol=1e-5)
    assert (encoded[:, 4] == 1).all(), "a mean score is something known, and not the same as nothing"


def test_what_is_left_out_is_zeros():
    encoded = BOTH.encode({"validation_score": np.array([0.93])})
    assert encoded[0, :3].tolist() == [0, 0, 0]
    assert not BOTH.encode({}).any()
    assert Conditions().encode({}).shape == (1, 0)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"initialisation": ["orthogonal"]}, "found 'orthogonal'; expected one of normal, torch, uniform"),
        ({"dataset": ["mnist"]}, "the flow is conditioned on initialisation, validation_score"),
    ],
)
def test_what_no_member_has_is_named(asked: dict[str, list[str]], says: str):
    with pytest.raises(UsageError, match=says):
        BOTH.encode({name: np.array(values, dtype=object) for name, values in asked.items()})


def test_facts_that_are_not_known_of_every_member_are_named():
    with pytest.raises(UsageError, match=r"fit\.condition validation_score: not known of every member"):
        conditions_of({"validation_score": np.array([0.9, np.nan])})


@pytest.mark.parametrize("name", ["initialisation", "config.activation"])
def test_so_are_categories_that_some_members_lack(name: str):
    with pytest.raises(UsageError, match=rf"fit\.condition {name}: .* \(unknown of 1 of 3\); leave it out, or these"):
        conditions_of({name: np.array(["relu", "unknown", "tanh"], dtype=object)})


def test_a_class_may_be_asked_for_by_its_number():
    classes = conditions_of({"label": np.array(["0", "3", "10"], dtype=object)})
    assert classes.encode({"label": np.array([3.0])}).tolist() == [[0, 0, 1]]


def test_a_word_in_the_place_of_a_number_is_named():
    with pytest.raises(UsageError, match=r"condition validation_score: found 'high'; expected a number"):
        BOTH.encode({"validation_score": np.array(["high"], dtype=object)})


@given(
    names=st.lists(st.sampled_from("abc"), min_size=1, max_size=5),
    scores=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5),
)
def test_conditions_come_back_from_plain_values(names: list[str], scores: list[float]):
    encoded = conditions_of({"initialisation": np.array(names, dtype=object), "validation_score": np.array(scores)})
    assert Conditions.from_json(encoded.to_json()) == encoded


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 1.0), (1.0, 3.0), (2.5, 6.0)])
def test_guidance_goes_on_from_nothing_known_through_what_is_known(weight: float, expected: float):
    seen = []

    def network(x: torch.Tensor, t: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        seen.append(c)
        return torch.full_like(x, 1.0 if c is None else float(c[0, 0]))

    velocity = guided(network, torch.tensor([3.0]), weight)
    assert torch.equal(velocity(torch.zeros(2, 4), torch.zeros(2)), torch.full((2, 4), expected))
    assert len(seen) == network_calls(1, weight)


def test_without_conditions_a_velocity_is_one_call():
    assert network_calls(0, 2.0) == 1
