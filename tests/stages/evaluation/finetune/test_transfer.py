"""Transfer: networks on other data, zero-shot, trained on, and with heads for another number of classes."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small_task import convnet, data, examples, fine_tune_run, mlp, untrained
from torch import nn
from torch.func import functional_call

from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.evaluation.finetune.fine_tune_run import Cache, cached
from stages.evaluation.finetune.transfer import head_of, reheaded, transfer, with_fresh_heads
from stages.members.draws import Seeds
from stages.members.loop import train_from
from stages.params.evaluate import Transfer
from stages.store.layout import Layout


def params(**changes) -> Transfer:
    return Transfer(**{"dataset": "fashion_mnist", "epochs": (0, 1, 3), "networks": 2, **changes})


def cache_in(folder: Path) -> Cache:
    return partial(cached, folder, "transfer-0")


def other_data(classes: int = 3) -> tuple[Train, Test]:
    """The home task with its classes moved round: what members know is wrong there."""
    train, test = data(classes)
    return Train(train.inputs, (train.targets + 1) % classes), Test(test.inputs, (test.targets + 1) % classes)


@pytest.fixture
def trained() -> torch.Tensor:
    """Networks that know the home task, of which the third is never asked for."""
    home, rows = fine_tune_run(), untrained(mlp())
    (stack,) = train_from(mlp(), rows, home.recipe, home.seeds, (60,), home.train, home.ctx)
    return stack[0]


def test_zero_shot_and_after_epochs(trained, tmp_path):
    home = fine_tune_run()
    starts = {"members": lambda n: trained[:n], "fresh": lambda n: untrained(mlp(), n, 3)}
    figures = transfer(params(epochs=(0, 1, 12)), starts, home, *other_data(), cache_in(tmp_path))
    assert (figures.dataset, figures.epochs, figures.networks, figures.new_head) == (
        "fashion_mnist",
        [0, 1, 12],
        2,
        False,
    )
    assert float(home.score(trained).mean()) > 0.8
    means = figures.sets["members"].mean
    assert means[0] == float(replace(home, test=other_data()[1]).score(trained[:2]).mean()) < 0.3
    assert means[2] > means[0] + 0.2
    steps = replace(home, train=other_data()[0], test=other_data()[1]).scores(
        trained[:2], (0, 5, 60)
    )  # 80 examples in 16s
    assert means == steps.mean(1).tolist()


def test_another_number_of_classes_gets_a_new_head_and_no_zero_shot(tmp_path):
    calls = []
    figures = transfer(
        params(),
        {"fresh": lambda n: calls.append(n) or untrained(mlp(), n)},
        fine_tune_run(),
        *data(5),
        cache_in(tmp_path),
    )
    assert (figures.epochs, figures.new_head, calls) == ([1, 3], True, [2])
    assert len(figures.sets["fresh"].mean) == 2
    assert figures.sets["fresh"].mean[1] > 0.3
    with pytest.raises(UsageError, match=r"no zero-shot score; add epochs above 0 to \[0\]"):
        transfer(params(epochs=(0,)), {}, fine_tune_run(), *data(5), cache_in(tmp_path))


def test_a_network_that_is_nothing_but_a_head_gets_a_new_one(tmp_path):
    home, other = fine_tune_run(nn.Linear(4, 3), data(3, (4,))), data(5, (4,))
    figures = transfer(params(), {"fresh": lambda n: untrained(nn.Linear(4, 3), n)}, home, *other, cache_in(tmp_path))
    assert (figures.epochs, figures.new_head) == ([1, 3], True)


def test_statistics_are_those_of_the_other_training_examples(tmp_path):
    """Inputs moved and stretched alike in training and test are no others to a network that measures them anew."""
    train, test = data()
    rows = untrained(convnet())
    moved = Train(train.inputs * 5 + 100, train.targets), Test(test.inputs * 5 + 100, test.targets)
    torch.testing.assert_close(
        fine_tune_run(convnet()).score(rows), fine_tune_run(convnet(), moved).score(rows), atol=0.04, rtol=0
    )
    figures = transfer(
        params(epochs=(0,), networks=3),
        {"members": lambda n: rows[:n]},
        fine_tune_run(convnet()),
        *moved,
        cache_in(tmp_path),
    )
    assert figures.sets["members"].mean == [float(fine_tune_run(convnet(), moved).score(rows).mean())]


def test_a_finished_set_is_not_trained_again(tmp_path):
    before = transfer(
        params(), {"fresh": lambda n: untrained(mlp(), n)}, fine_tune_run(), *other_data(), cache_in(tmp_path)
    )
    again = transfer(
        params(), {"fresh": lambda n: pytest.fail("trained again")}, fine_tune_run(), *other_data(), cache_in(tmp_path)
    )
    assert before == again


def numbers(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = examples(count, 1)
    return inputs, targets.float()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            data(3, (3, 4, 4)),
            r"inputs have shape \[3, 4, 4\], but the zoo's network takes \[1, 4, 4\]; set size and channels",
        ),
        (data(3, (1, 2, 8)), r"inputs have shape \[1, 2, 8\]"),
        (
            (Train(*numbers(9)), Test(*numbers(9))),
            "fashion_mnist has numbers to predict, but the zoo's networks predict classes",
        ),
    ],
)
def test_data_that_do_not_suit_the_network_are_refused(tmp_path, other, message):
    with pytest.raises(UsageError, match=message):
        transfer(params(), {}, fine_tune_run(), *other, cache_in(tmp_path))


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
    new, rows = reheaded(old, head, 5), untrained(old)
    olds, news = Layout.of_module(old), Layout.of_module(new)
    changed, kept = news.unflatten(with_fresh_heads(rows, olds, news, head, Seeds(1))), olds.unflatten(rows)
    for name, tensor in changed.items():
        if name.rpartition(".")[0] == head:
            assert tensor.shape[1] == 5
        else:
            assert torch.equal(tensor, kept[name])
    first = {name: tensor[0] for name, tensor in changed.items()}
    assert functional_call(new, first, (torch.randn(2, 16),)).shape == (2, 5)
    assert {name: tuple(tensor.shape) for name, tensor in old.named_parameters()} == before


def new_heads(seed: int, networks: int = 40) -> torch.Tensor:
    old = mlp()
    new, layout = reheaded(old, "3", 50), Layout.of_module(old)
    rows = with_fresh_heads(untrained(old, networks), layout, Layout.of_module(new), "3", Seeds(seed))
    return Layout.of_module(new).unflatten(rows)["3.weight"]


def test_heads_begin_as_linear_does_each_from_its_own_seed():
    weights, bound = new_heads(1), 6**-0.5
    assert float(weights.abs().max()) <= bound
    assert float(weights.std()) == pytest.approx(bound / 3**0.5, rel=0.03)
    assert float(torch.pdist(weights.flatten(1)).min()) > 1
    assert torch.equal(new_heads(1, 7), weights[:7])
    assert not torch.equal(new_heads(2), weights)
