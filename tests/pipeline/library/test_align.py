"""Alignment of anybody's networks in one line."""

import copy
from collections.abc import Callable

import pytest
import torch
from attention import Attention
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from unusual_networks import Hidden, Masked, TwoHeads

import dwf
from stages.errors import LayoutMismatch

seeds = st.integers(0, 1000)


def mlp(seed: int = 0, hidden: int = 6) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 3))


def relabelled(network: nn.Module, example: Tensor, seed: int = 1) -> nn.Module:
    """A copy with its units in another order."""
    found = dwf.symmetry(network, example)
    return found.act(network, found.random(seed))


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@torch.no_grad()
def distance(a: nn.Module, b: nn.Module) -> float:
    return float(sum((x - y).square().sum() for x, y in zip(a.parameters(), b.parameters(), strict=True)))


class Convolutional(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3), nn.ReLU(), nn.Flatten(1))
        self.append(nn.Linear(6 * 4 * 4, 3))
        for name, values in self[1].named_buffers():
            if values.is_floating_point():
                values.copy_(torch.rand(5) + (0.5 if name == "running_var" else 0))


class Tied(nn.Module):
    """Words in, words out, by the same table."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.up, self.out = nn.Embedding(9, 5), nn.Linear(5, 5), nn.Linear(5, 9, bias=False)
        self.out.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(torch.relu(self.up(self.words(ids))))


@settings(max_examples=6)
@given(seeds, st.integers(2, 9))
def test_a_relabelled_copy_comes_back_exactly(seed: int, hidden: int):
    network = mlp(seed, hidden)
    copied = relabelled(network, torch.randn(2, 4), seed)
    reference, aligned = dwf.align([network, copied])
    assert equal(network, reference)
    assert equal(network, aligned)


@pytest.mark.parametrize("make", [Hidden, Convolutional, Tied, TwoHeads, Masked, lambda: Attention("chunk")])
def test_functions_stay_and_distances_shrink(make: Callable[[], nn.Module]):
    torch.manual_seed(5)
    first, second = make(), make()
    example = torch.randn(2, 7, 12) if isinstance(first, Attention) else None
    reference, aligned = dwf.align([first, second], example)
    assert equal(reference, first)
    assert distance(first, aligned) < distance(first, second)
    x = {Tied: torch.arange(8).reshape(2, 4), Convolutional: torch.randn(2, 1, 8, 8)}.get(
        type(first), torch.randn(2, 4)
    )
    x = x if example is None else example
    before, after = second.eval()(x), aligned.eval()(x)
    for one, other in (
        zip(before.values(), after.values(), strict=True) if isinstance(before, dict) else [(before, after)]
    ):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_middle_of_aligned_copies_is_the_network_and_of_others_isn_t():
    network = mlp()
    copied, x = relabelled(network, torch.randn(2, 4)), torch.randn(5, 4)

    def middle(a: nn.Module, b: nn.Module) -> Tensor:
        mean = copy.deepcopy(a)
        for p, q in zip(mean.parameters(), b.parameters(), strict=True):
            p.data.lerp_(q.data, 0.5)
        return mean(x)

    assert torch.allclose(middle(*dwf.align([network, copied])), network(x), atol=1e-6)
    assert not torch.allclose(middle(network, copied), network(x), atol=1e-2)


def test_what_was_given_stays_as_it_was():
    networks = [mlp(0).train(), mlp(1).train().requires_grad_(False)]
    before = copy.deepcopy(networks)
    aligned = dwf.align(networks)
    assert all(equal(a, b) for a, b in zip(networks, before, strict=True))
    assert [n.training for n in (*networks, *aligned)] == [True] * 4
    assert [next(n.parameters()).requires_grad for n in aligned] == [True, False]


def test_state_dicts_come_back_as_state_dicts_tied_weights_under_both_names():
    model = Tied()
    states = [model.state_dict(), relabelled(model, torch.arange(8).reshape(2, 4)).state_dict()]
    _, aligned = dwf.align(states, model=Tied())
    assert list(aligned) == list(states[0])
    assert torch.equal(aligned["out.weight"], aligned["words.weight"])
    assert torch.equal(aligned["out.weight"], model.out.weight)
    assert not torch.equal(aligned["out.weight"], states[1]["out.weight"])


def test_half_precision_is_kept():
    network = mlp().bfloat16()
    copied = relabelled(network, torch.randn(2, 4))
    aligned = dwf.align([network, copied])[1]
    assert next(aligned.parameters()).dtype == torch.bfloat16
    assert equal(network, aligned)


def test_constants_that_all_share_stay_and_running_statistics_move():
    first, second = Masked(), Masked()
    assert torch.equal(dwf.align([first, second])[1].mask, first.mask)
    network = Convolutional()
    copied = relabelled(network, torch.randn(2, 1, 8, 8))
    assert not torch.equal(copied[1].running_mean, network[1].running_mean)
    assert torch.equal(dwf.align([network, copied])[1][1].running_mean, network[1].running_mean)


class Unguessable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def test_what_can_t_be_done_is_said_in_a_line():
    assert dwf.align([]) == []
    with pytest.raises(dwf.UsageError, match="give model="):
        dwf.align([mlp().state_dict(), mlp().state_dict()])
    with pytest.raises(dwf.UsageError, match=r"that Unguessable takes; give one, e\.g\. example="):
        dwf.align([Unguessable(), Unguessable()])
    with pytest.raises(LayoutMismatch, match=r"'0\.weight'"):
        dwf.align([mlp(hidden=6), mlp(hidden=5)])
    with pytest.raises(dwf.UsageError, match="doesn't take a batch of 2 inputs"):
        dwf.align([mlp(), mlp()], torch.randn(2, 5))
    with pytest.warns(UserWarning, match="nothing can be permuted"):
        dwf.align([nn.Linear(4, 3), nn.Linear(4, 3)])
