"""Members trained one after the other: as a plain loop of torch's would, each from its own seed."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import assert_close
from torch import nn
from torch.nn import functional as F

from stages import progress
from stages.context import Context
from stages.datasets import Train
from stages.members import loop
from stages.members.draws import Seeds, augment, orders
from stages.params.network import MLP
from stages.params.zoo import Recipe, ZooParams
from stages.seeds import generator, global_seed
from stages.store.layout import Layout

DRAW = torch.Generator().manual_seed(0)
DATA = Train(torch.randn(40, 1, 6, 6, generator=DRAW), torch.randint(3, (40,), generator=DRAW))
CTX = Context(Path("/nonexistent"))


def network(dropout: float = 0.3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 3)
    )


def params(**recipe) -> ZooParams:
    recipe = {"lr": 0.01, "batch": 8, "epochs": 2, **recipe}
    shape = {"network": MLP(widths=(2, 2)), "members": 3, "heldout": 2}  # the description plays no part here
    return ZooParams(dataset={"name": "iris"}, recipe=Recipe(**recipe), **shape)


@pytest.fixture(autouse=True)
def _normal_weights(monkeypatch: pytest.MonkeyPatch):
    """Any module's parameters normal, its statistics as BatchNorm starts them."""
    template = network()
    monkeypatch.setattr(loop, "initialise", lambda _, how, draw: start(template, draw))


def start(module: nn.Module, draw: torch.Generator) -> dict[str, torch.Tensor]:
    state = {n: 0.2 * torch.randn(p.shape, generator=draw) for n, p in module.named_parameters()}
    return state | {"1.running_mean": torch.zeros(4), "1.running_var": torch.ones(4)}


def train(p: ZooParams, members=(0, 1, 2), module: nn.Module | None = None) -> torch.Tensor:
    return loop.train_members(module or network(), p, np.array(members), 0, DATA, CTX)


def alone(p: ZooParams, member: int) -> torch.Tensor:
    """The same training in plain torch."""
    net = network().train()
    net.load_state_dict(start(net, generator(p.seed, "member", member, 0)), strict=False)
    optimizer = torch.optim.SGD(net.parameters(), p.recipe.lr, p.recipe.momentum, weight_decay=p.recipe.weight_decay)
    for epoch in range(p.recipe.epochs):
        images = generator(p.seed, "augmentation", member, 0, epoch)
        with global_seed(p.seed, "dropout", member, 0, epoch):
            for (index,) in orders(Seeds(p.seed), 8, np.array([member]), epoch, 40):
                optimizer.zero_grad()
                shown = augment(DATA.inputs[index], p.recipe.augmentation, images)
                F.cross_entropy(net(shown), DATA.targets[index], label_smoothing=p.recipe.label_smoothing).backward()
                nn.utils.clip_grad_norm_(net.parameters(), p.recipe.clip or 1e9)
                optimizer.step()
    state = net.state_dict()
    return Layout.of_module(net).flatten({slot.name: state[slot.name] for slot in Layout.of_module(net).slots})


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {
            "momentum": 0.9,
            "weight_decay": 0.01,
            "label_smoothing": 0.1,
            "clip": 0.5,
            "augmentation": {"crop": 1, "flip": True},
        },
    ],
)
def test_members_are_what_plain_torch_makes_of_them(recipe):
    p = params(optimizer="sgd", lr=0.1, **recipe)
    found = train(p)
    for member in range(3):
        assert_close(found[member], alone(p, member), 1e-4)


def test_every_part_of_the_recipe_matters():
    """The control: without it the comparison above would be of things that do nothing."""
    recipes = [{}, {"clip": 0.5}, {"label_smoothing": 0.1}, {"augmentation": {"flip": True}}, {"schedule": "cosine"}]
    rows = torch.cat([train(params(optimizer="sgd", lr=0.1, **recipe), [0]) for recipe in recipes])
    assert float(torch.pdist(rows).min()) > 1e-3


def test_running_statistics_are_trained_and_stored():
    layout = Layout.of_module(network())
    state = layout.unflatten(train(params()))
    assert float(state["1.running_mean"].abs().min()) > 0
    assert len(state["1.running_var"].flatten().unique()) == 12


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0), (1,)])
def test_a_member_does_not_depend_on_its_neighbours_or_on_the_global_generator(order):
    expected, module = train(params()), network()
    torch.manual_seed(len(order))
    before = torch.get_rng_state()
    assert torch.equal(train(params(), order, module), expected[list(order)])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_running_statistics_of_one_member_do_not_reach_the_next_with_cumulative_averages():
    module = network()
    module[1].momentum = None
    assert torch.equal(train(params(), (0, 1), module)[1], train(params(), (1,), copy.deepcopy(module))[0])


def test_only_networks_with_dropout_hold_the_global_generator(monkeypatch):
    held = []
    monkeypatch.setattr(loop, "global_seed", lambda *parts: held.append(parts[0]) or global_seed(*parts))
    train(params(), (0,), network(dropout=0.0))
    assert held == ["probe"]
    train(params(), (0,))
    assert held[1:] == ["probe", 0, 0]


def test_progress_rises_from_member_to_member(monkeypatch):
    told, clock = [], iter(range(10_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    ctx = replace(CTX, progress=lambda share, note: told.append((share, note)))
    loop.train_members(network(), params(), np.arange(3), 0, DATA, ctx)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert {note.split(",")[0] for _, note in told} == {"member 0", "member 1", "member 2"}


@pytest.mark.parametrize("poisoned", [True, False])
def test_training_ends_in_the_epoch_in_which_all_members_diverged(monkeypatch: pytest.MonkeyPatch, poisoned: bool):
    data = Train(DATA.inputs * (torch.nan if poisoned else 1.0), DATA.targets)
    steps, loss = [], loop.loss
    monkeypatch.setattr(loop, "loss", lambda *given: steps.append(1) or loss(*given))
    rows = loop.train_members(network(), params(epochs=4), np.array([0]), 0, data, CTX)
    assert len(steps) == (5 if poisoned else 20)
    assert bool(torch.isfinite(rows).all()) is not poisoned
