"""The symmetry of anybody's network, as an object."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import dwf
from stages.errors import FunctionChanged
from stages.symmetry.prove import half


def network(seed: int = 0, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), activation(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


EXAMPLE = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found() -> dwf.NetworkSymmetry:
    return dwf.symmetry(network(), EXAMPLE)


def test_the_table_has_a_row_per_group(found: dwf.NetworkSymmetry):
    table = found.table.set_index("group")
    assert table.units.tolist() == [6, 5]
    assert table.signs.tolist() == [True, False]
    assert table.rescaled.tolist() == [False, True]
    assert table["lies on"].tolist() == ["0.weight[0], 0.bias[0], 2.weight[1]", "2.weight[0], 2.bias[0], 4.weight[1]"]


def test_it_prints_and_renders(found: dwf.NetworkSymmetry):
    assert str(found).startswith("Sequential: 2 groups of units, relabelled in 10^5 ways\n")
    assert "4.weight[1]" in str(found)
    assert "<td>2.weight[0], 2.bias[0], 4.weight[1]</td>" in found._repr_html_()


def test_a_random_element_keeps_the_function_and_half_of_one_doesn_t(found: dwf.NetworkSymmetry):
    original, x = network(3), torch.randn(7, 4)
    moved = found.act(original, found.random(2))
    assert isinstance(moved, nn.Sequential)
    assert not torch.equal(moved[0].weight, original[0].weight)
    assert torch.allclose(moved(x), original(x), atol=1e-6)
    partial = replace(found, symmetry=half(found.symmetry, "0"))
    assert not torch.allclose(partial.act(original, found.random(2))(x), original(x), atol=1e-3)


def test_elements_differ_by_their_seed_alone(found: dwf.NetworkSymmetry):
    def units(seed: int) -> list[int]:
        return found.random(seed).permutations["0"].tolist()

    assert units(2) == units(2) != units(3)


def test_a_module_and_its_state_move_alike(found: dwf.NetworkSymmetry):
    moved = found.act(network(3), found.random(2)).state_dict()
    state = found.act(network(3).state_dict(), found.random(2))
    assert all(torch.equal(tensor, moved[name]) for name, tensor in state.items())


def test_the_proof_holds_and_a_wrong_table_fails_it(found: dwf.NetworkSymmetry):
    proof = found.prove()
    assert proof
    assert str(proof) == "groups that keep the outputs at round-off: 2"
    wrong = replace(found, symmetry=half(found.symmetry, "0")).prove()
    assert not wrong
    assert "group '0' left out" in str(wrong)


def test_alignment_finds_the_same_units_up_to_signs(found: dwf.NetworkSymmetry):
    original = network(3)
    moved = found.act(original, found.random(2))
    assert torch.equal(found.align(original, moved)[0].weight, original[0].weight)


def test_alignment_by_a_wrong_table_is_refused(found: dwf.NetworkSymmetry):
    wrong = replace(found, symmetry=half(found.symmetry, "0"))
    with pytest.raises(FunctionChanged, match=r"align: outputs changed by .* of the largest one, allowed 1e-09"):
        wrong.align(network(3), network(4))


def test_the_model_is_left_alone():
    model = network().train()
    dwf.symmetry(model, EXAMPLE)
    assert model.training


def test_a_network_that_can_t_be_worked_with_is_refused():
    with pytest.raises(dwf.UsageError, match="symmetry: Sequential gives other outputs for the same input"):
        dwf.symmetry(nn.Sequential(nn.Linear(4, 3), nn.AlphaDropout(0.5), AlwaysNoisy()), EXAMPLE)


class AlwaysNoisy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)
