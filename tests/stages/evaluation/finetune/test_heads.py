"""Heads are found in any network and replaced; everything else stays."""

import pytest
import torch
from small_task import convnet, mlp, start
from torch import nn
from torch.func import functional_call

from stages.errors import UsageError
from stages.evaluation.finetune.heads import head_of, reheaded, with_fresh_heads
from stages.members.draws import Seeds
from stages.store.layout import Layout


class Backwards(nn.Module):
    """Its head is nested, has no bias, and a Linear of another width comes after it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(16, 3)  # as wide as the head, but not the last such
        self.tail = nn.ModuleDict({"head": nn.Linear(3, 3, bias=False), "unused": nn.Linear(2, 2)})

    def forward(self, x):
        return self.tail["head"](self.body(x).relu())


@pytest.mark.parametrize(
    ("module", "classes", "head"),
    [
        (mlp(), 3, "3"),
        (mlp(), 6, "1"),
        (convnet(), 3, "5"),
        (Backwards(), 3, "tail.head"),
        (nn.Linear(16, 3), 3, ""),
    ],
)
def test_the_head_is_the_last_linear_of_that_width(module, classes, head):
    assert head_of(module, classes) == head


def test_a_network_without_a_linear_head_is_refused():
    with pytest.raises(UsageError, match=r"no Linear with 4 outputs .* leave out data sets with other classes"):
        head_of(mlp(), 4)


@pytest.mark.parametrize("make", [mlp, Backwards, lambda: nn.Linear(16, 3)])
def test_another_number_of_classes_changes_the_head_alone(make):
    old = make()
    before = {name: tuple(tensor.shape) for name, tensor in old.named_parameters()}
    head = head_of(old, 3)
    new, rows = reheaded(old, head, 5), start(old)
    olds, news = Layout.of_module(old), Layout.of_module(new)
    found, kept = news.unflatten(with_fresh_heads(rows, olds, news, head, Seeds(1))), olds.unflatten(rows)
    for name, tensor in found.items():
        if name.rpartition(".")[0] == head:
            assert tensor.shape[1] == 5
        else:
            assert torch.equal(tensor, kept[name])
    one = {name: tensor[0] for name, tensor in found.items()}
    assert functional_call(new, one, (torch.randn(2, 16),)).shape == (2, 5)
    assert {name: tuple(tensor.shape) for name, tensor in old.named_parameters()} == before


def heads(seed: int, networks: int = 40) -> torch.Tensor:
    old = mlp()
    new, layout = reheaded(old, "3", 50), Layout.of_module(old)
    rows = with_fresh_heads(start(old, networks), layout, Layout.of_module(new), "3", Seeds(seed))
    return Layout.of_module(new).unflatten(rows)["3.weight"]


def test_heads_begin_as_linear_does_each_from_its_own_seed():
    found, bound = heads(1), 6**-0.5
    assert float(found.abs().max()) <= bound
    assert float(found.std()) == pytest.approx(bound / 3**0.5, rel=0.03)
    assert float(torch.pdist(found.flatten(1)).min()) > 1
    assert torch.equal(heads(1, 7), found[:7])
    assert not torch.equal(heads(2), found)
