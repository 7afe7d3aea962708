"""Facts as typed columns, with what isn't known marked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.members.facts import columns, flattened, missing, parsed
from stages.store.weights import UNKNOWN


def test_numbers_are_float_and_others_text():
    members = [{"lr": "0.1", "seed": 3.0, "nlin": "relu"}, {"lr": "1e-3", "seed": "4", "nlin": "6"}]
    found = columns(members)
    assert found["lr"].tolist() == [0.1, 0.001]
    assert found["seed"].tolist() == [3.0, 4.0]
    assert found["nlin"].tolist() == ["relu", "6"]


def test_a_class_stays_text_where_it_is_said_to_be_one():
    members = [{"label": "3"}, {"label": 7.0}]
    assert columns(members)["label"].tolist() == [3.0, 7.0]
    assert columns(members, ["label"])["label"].tolist() == ["3", "7"]


@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), st.floats(-9, 9) | st.sampled_from(["x", "y"])), min_size=1),
)
def test_every_member_has_a_value_or_is_marked(members):
    found = columns(members)
    assert found.keys() == {name for member in members for name in member}
    for name, column in found.items():
        assert missing(column).tolist() == [name not in member for member in members]
        assert column.dtype.kind == ("O" if any(isinstance(m.get(name), str) for m in members) else "f")


def test_unknown_values_are_nan_or_the_word():
    found = columns([{"a": "1", "b": "x"}, {}])
    assert np.isnan(found["a"][1])
    assert found["b"][1] == UNKNOWN


def test_nested_values_are_flat_and_what_says_nothing_is_left_out():
    values = {
        "optim": {"lr": 1, "steps": [1, 2]},
        "model::nlin": "tanh",
        "a": None,
        "b": float("nan"),
        "c": "",
        "d": True,
    }
    assert dict(flattened(values)) == {
        "optim.lr": 1.0,
        "optim.steps": "[1, 2]",
        "model.nlin": "tanh",
        "d": "true",
    }


def test_headers_are_json_and_never_evaluated():
    found = parsed({"a": "0.5", "b": '{"lr": 1}', "c": "__import__('os')", "d": "plain"})
    assert found == {"a": 0.5, "b": {"lr": 1}, "c": "__import__('os')", "d": "plain"}
