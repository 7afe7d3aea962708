"""Conditions by which members are chosen, against Python's own comparisons."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.errors import UsageError
from stages.params.checkpoints import ImportedZoo
from stages.params.where import check_names, parse_condition

SYMBOLS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt}
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


@given(found=NUMBERS, asked=NUMBERS, symbol=st.sampled_from(sorted(SYMBOLS)), as_text=st.booleans())
def test_numbers_are_compared_as_numbers_however_they_are_written(found, asked, symbol, as_text):
    condition = parse_condition(f"a.b {symbol} {asked!r}")
    assert condition.holds(repr(found) if as_text else found) == SYMBOLS[symbol](found, asked)


@pytest.mark.parametrize(
    ("condition", "found", "holds"),
    [
        ("config.activation == relu", "relu", True),
        ("config.activation == 'relu'", "relu", True),
        ("config.activation==relu", "relu6", False),
        ("config.activation != relu", "tanh", True),
        ("step == 86", "86.0", True),
        ("step >= 9", "10", True),
        ("run == 1_0", "10", False),
        ("label == 3", 3.0, True),
        ("label == three", 3.0, False),
    ],
)
def test_other_values_are_text(condition, found, holds):
    assert parse_condition(condition).holds(found) is holds


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_what_is_not_known_fulfils_nothing(symbol):
    assert not parse_condition(f"a {symbol} 1").holds(None)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("step", "'step' is no condition; expected a fact, one of == != < <= > >=, and a value"),
        ("step = 3", "'step = 3' is no condition"),
        ("a < b", "compares with 'b', which is no number; text can be == or !="),
    ],
)
def test_what_is_no_condition_is_refused_with_the_configuration(condition, said):
    network = {"kind": "mlp", "widths": [2, 2]}
    with pytest.raises(ValidationError, match=said):
        ImportedZoo.model_validate(
            {"source": "checkpoints", "files": "a", "network": network, "heldout": 2, "where": [condition]}
        )


def test_a_fact_that_nobody_has_is_named_with_the_nearest():
    with pytest.raises(
        UsageError, match=r"zoo\.where: no member has a fact 'test_acuracy'; did you mean 'test_accuracy'"
    ):
        check_names((parse_condition("test_acuracy > 0"),), {"step", "test_accuracy"})
    with pytest.raises(UsageError, match="there are a, b"):
        check_names((parse_condition("zzzz > 0"),), {"b", "a"})
