"""Training that goes on from given rows: what it does from fresh ones is ordinary training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.context import Context
from stages.datasets import Train
from stages.members import loop
from stages.members.draws import Seeds
from stages.members.loop import train_from, train_members
from stages.nets.initialise import initialise
from stages.nets.registry import build
from stages.params.network import MLP, Network, ResNet
from stages.params.zoo import Recipe, ZooParams
from stages.seeds import generator
from stages.store.layout import Layout

DRAW = torch.Generator().manual_seed(0)
DATA = Train(torch.randn(40, 1, 6, 6, generator=DRAW), torch.randint(3, (40,), generator=DRAW))
CTX = Context(Path("/nonexistent"))
PLAIN = MLP(widths=(36, 5, 3))
RESIDUAL = ResNet(blocks=(1,), width=2, size=6, channels=1, classes=3)


def zoo(network: Network) -> ZooParams:
    recipe = Recipe(lr=0.01, batch=9, epochs=3, augmentation={"crop": 1})  # 5 steps an epoch
    return ZooParams(dataset="iris", network=network, recipe=recipe, members=3, heldout=2, seed=4)


def fresh(p: ZooParams) -> Tensor:
    """The rows that members 0, 1 and 2 begin with."""
    states = [initialise(p.network, "kaiming_uniform", generator(p.seed, "member", i, 0)) for i in range(3)]
    return torch.stack([Layout.of_module(build(p.network)).flatten(state) for state in states])


def after(p: ZooParams, rows: Tensor, *eval_steps: int, seed: int = 4) -> Tensor:
    module: nn.Module = build(p.network)
    return torch.cat(list(train_from(module, rows, p.recipe, Seeds(seed), eval_steps, DATA, CTX)), dim=1)


@pytest.mark.parametrize("network", [PLAIN, RESIDUAL])
def test_from_fresh_rows_it_is_ordinary_training(network):
    p = zoo(network)
    members = train_members(build(network), p, np.arange(3), 0, DATA, CTX)
    assert torch.equal(after(p, fresh(p), 15)[0], members)
    assert not torch.equal(after(p, fresh(p), 15, seed=5)[0], members)
    assert not torch.equal(after(p, fresh(p), 14)[0], members)


@pytest.mark.parametrize("network", [PLAIN, RESIDUAL])
def test_every_evaluation_shows_what_a_training_of_that_length_ends_with(network):
    p = zoo(network)
    rows = fresh(p)
    kept = rows.clone()
    found = after(p, rows, 0, 3, 5, 11)
    assert torch.equal(found[0], kept)
    for stop, at in zip((3, 5, 11), found[1:], strict=True):
        assert torch.equal(at, after(p, rows, stop)[0])
    assert torch.equal(rows, kept)
    assert float((found[1:] - found[:-1]).abs().amax((1, 2)).min()) > 1e-3


def test_networks_that_are_not_stacked_come_one_after_the_other():
    p = zoo(RESIDUAL)
    parts = list(train_from(build(RESIDUAL), fresh(p), p.recipe, Seeds(4), (0, 2), DATA, CTX))
    assert [tuple(part.shape[:2]) for part in parts] == [(2, 1)] * 3


def test_nothing_is_trained_beyond_the_last_evaluation(monkeypatch):
    p, steps = zoo(PLAIN), []
    monkeypatch.setattr(loop, "set_learning_rate", lambda _, recipe, step, total: steps.append((step, total)))
    after(p, fresh(p), 0, 7)
    assert steps == [(i, 7) for i in range(7)]
