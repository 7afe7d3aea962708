"""The table of `dwf symmetry`."""

import pytest
from rich.table import Table

from pipeline.symmetries import coverage_of, coverages, symmetry_tables
from stages.errors import UsageError
from stages.params.network import MLP, Model


def test_coverage_counts_the_parameters_that_some_group_lies_on():
    coverage = coverage_of(MLP(widths=(4, 6, 3)))
    assert coverage.parameters == 4 * 6 + 6 + 6 * 3 + 3
    assert coverage.covered == pytest.approx((coverage.parameters - 3) / coverage.parameters)  # not the output's bias
    assert coverage.vacuous == ()


def cells(name: str) -> dict[str, str]:
    """A network's row in the table, by column."""
    table = next(iter(symmetry_tables(coverages([f"unusual_networks:{name}"], "4"), every_group=False)))
    assert isinstance(table, Table)
    return {str(column.header): str(next(iter(column.cells))) for column in table.columns}


def test_the_table_says_how_many_groups_can_be_rescaled_and_flipped():
    assert (cells("Hidden")["groups"], cells("Hidden")["rescaled"]) == ("1", "1")
    assert (cells("casting")["groups"], cells("casting")["rescaled"]) == ("1", "0")
    assert (cells("sine")["rescaled"], cells("sine")["flipped"], cells("Hidden")["flipped"]) == ("0", "1", "0")


def test_networks_with_several_outputs_have_a_table():
    assert coverage_of(Model(model="unusual_networks:TwoHeads", input=(4,))).derived.notes == ()


def test_a_network_that_has_none_is_named_in_one_line():
    with pytest.raises(UsageError, match=r"^unusual_networks:always_dropping gives other outputs for the same input"):
        coverages(["unusual_networks:always_dropping"], "4")
    with pytest.raises(UsageError, match=r"^unusual_networks:Hidden doesn't take a batch of 2 inputs of shape \(5,\)"):
        coverages(["unusual_networks:Hidden"], "5")
