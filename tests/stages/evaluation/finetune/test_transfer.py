"""Networks on other data: zero-shot, trained on, and with heads for another number of classes."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small_task import convnet, course, data, examples, mlp, start
from torch import nn

from stages.datasets import Test, Train
from stages.errors import UsageError
from stages.evaluation.finetune.run import Keep, remembered
from stages.evaluation.finetune.transfer import transfer
from stages.members.loop import train_from
from stages.params.finetune import Transfer


def params(**changes) -> Transfer:
    return Transfer(**{"dataset": "fashion_mnist", "epochs": (0, 1, 3), "networks": 2, **changes})


def kept(folder: Path) -> Keep:
    return partial(remembered, folder, "transfer-0")


def away(classes: int = 3) -> tuple[Train, Test]:
    """The home task with its classes moved round: what members know is wrong there."""
    train, test = data(classes)
    return Train(train.inputs, (train.targets + 1) % classes), Test(test.inputs, (test.targets + 1) % classes)


@pytest.fixture
def trained() -> torch.Tensor:
    """Networks that know the home task, of which the third is never asked for."""
    home, rows = course(), start(mlp())
    (found,) = train_from(mlp(), rows, home.recipe, home.seeds, (60,), home.train, home.ctx)
    return found[0]


def test_zero_shot_and_after_epochs(trained, tmp_path):
    home = course()
    starts = {"members": lambda n: trained[:n], "fresh": lambda n: start(mlp(), n, 3)}
    found = transfer(params(epochs=(0, 1, 12)), starts, home, *away(), kept(tmp_path))
    assert {k: v for k, v in found.items() if k != "sets"} == {
        "dataset": "fashion_mnist",
        "epochs": [0, 1, 12],
        "networks": 2,
        "new_head": False,
    }
    assert float(home.score(trained).mean()) > 0.8
    means = found["sets"]["members"]["mean"]
    assert means[0] == float(replace(home, test=away()[1]).score(trained[:2]).mean()) < 0.3
    assert means[2] > means[0] + 0.2
    steps = replace(home, train=away()[0], test=away()[1]).scores(trained[:2], (0, 5, 60))  # 80 examples in 16s
    assert means == steps.mean(1).tolist()


def test_another_number_of_classes_gets_a_new_head_and_no_zero_shot(tmp_path):
    calls = []
    found = transfer(
        params(), {"fresh": lambda n: calls.append(n) or start(mlp(), n)}, course(), *data(5), kept(tmp_path)
    )
    assert (found["epochs"], found["new_head"], calls) == ([1, 3], True, [2])
    assert len(found["sets"]["fresh"]["mean"]) == 2
    assert found["sets"]["fresh"]["mean"][1] > 0.3
    with pytest.raises(UsageError, match=r"no zero-shot score; add epochs above 0 to \[0\]"):
        transfer(params(epochs=(0,)), {}, course(), *data(5), kept(tmp_path))


def test_a_network_that_is_nothing_but_a_head_gets_a_new_one(tmp_path):
    home, there = course(nn.Linear(4, 3), data(3, (4,))), data(5, (4,))
    found = transfer(params(), {"fresh": lambda n: start(nn.Linear(4, 3), n)}, home, *there, kept(tmp_path))
    assert (found["epochs"], found["new_head"]) == ([1, 3], True)


def test_statistics_are_those_of_the_other_training_examples(tmp_path):
    """Inputs moved and stretched alike in training and test are no others to a network that measures them anew."""
    train, test = data()
    rows = start(convnet())
    moved = Train(train.inputs * 5 + 100, train.targets), Test(test.inputs * 5 + 100, test.targets)
    torch.testing.assert_close(course(convnet()).score(rows), course(convnet(), moved).score(rows), atol=0.04, rtol=0)
    found = transfer(
        params(epochs=(0,), networks=3), {"members": lambda n: rows[:n]}, course(convnet()), *moved, kept(tmp_path)
    )
    assert found["sets"]["members"]["mean"] == [float(course(convnet(), moved).score(rows).mean())]


def test_a_finished_set_is_not_trained_again(tmp_path):
    one = transfer(params(), {"fresh": lambda n: start(mlp(), n)}, course(), *away(), kept(tmp_path))
    again = transfer(params(), {"fresh": lambda n: pytest.fail("trained again")}, course(), *away(), kept(tmp_path))
    assert one == again


def numbers(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = examples(count, 1)
    return inputs, targets.float()


@pytest.mark.parametrize(
    ("there", "said"),
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
def test_data_that_do_not_suit_the_network_are_refused(tmp_path, there, said):
    with pytest.raises(UsageError, match=said):
        transfer(params(), {}, course(), *there, kept(tmp_path))
