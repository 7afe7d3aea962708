"""Each operation's units are found as they are permuted by hand, and permuting them keeps what a network computes."""

import pytest
import torch
from small_networks import CASES, Case

from pipeline.survey import Check
from stages.symmetry.derive import derive


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_units_are_those_permuted_by_hand(case: Case):
    torch.manual_seed(0)
    network, example = case.network(), torch.randn(2, *case.shape)
    symmetry = derive(network, example).symmetry
    found = {frozenset(f"{a.tensor}[{a.axis}]" for a in group.axes): group.size for group in symmetry.groups.values()}
    assert found == {frozenset(places.split()): size for places, size in case.units.items()}
    check = Check(network, example)
    assert check.gap(symmetry) < 1e-9
    assert [name for name in symmetry.groups if check.gap_of_half(symmetry, name) < 1e-9] == []
