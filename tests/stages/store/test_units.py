"""Units of work that survive a kill: read if they are whole, computed if not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.store.units import kept

RESULT = {"mean": 0.1 + 0.2, "points": [1, 2.5e-300, None], "name": "τ"}


def never():
    pytest.fail("computed although it was there")


def test_a_finished_unit_is_not_computed_again(tmp_path):
    path = tmp_path / "sets" / "members.json"
    assert kept(path, lambda: RESULT) == RESULT
    assert kept(path, never) == RESULT
    assert [file.name for file in path.parent.iterdir()] == ["members.json"]


@given(data=st.data())
def test_a_unit_with_a_flipped_bit_or_a_torn_end_is_computed_again(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("units") / "unit.json"
    kept(path, lambda: RESULT)
    whole = path.read_bytes()
    torn = bytearray(whole)
    position = data.draw(st.integers(0, len(whole) - 1), "byte")
    torn[position] ^= 1 << data.draw(st.integers(0, 7), "bit")
    path.write_bytes(data.draw(st.sampled_from([bytes(torn), whole[:position]]), "damage"))
    assert kept(path, lambda: RESULT) == RESULT
    assert kept(path, never) == RESULT


@pytest.mark.parametrize("text", ["", "[]", "3", '{"result": 1}', '{"result": 1, "sha256": null}', "\xff"])
def test_what_is_no_unit_counts_as_none(tmp_path, text):
    (tmp_path / "unit.json").write_text(text, encoding="latin-1")
    assert kept(tmp_path / "unit.json", lambda: 2) == 2


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        kept(tmp_path / "unit.json", lambda: float("nan"))
