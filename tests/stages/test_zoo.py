from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import assert_close
from torch.func import functional_call
from torch.nn import functional as F

from stages.context import Context
from stages.datasets import load_fitting
from stages.errors import Diverged, UsageError
from stages.members import data as members_data
from stages.members import loop
from stages.members.draws import Seeds, orders
from stages.members.sources import train as source
from stages.nets.initialise import initialise
from stages.nets.mlp import build
from stages.params.dataset import Table
from stages.params.network import MLP, Model
from stages.params.zoo import Recipe, ZooParams
from stages.seeds import generator, seed_of
from stages.store.weights import Shards
from stages.zoo import make_shard, shards, zoo

NOWHERE = Path("/nonexistent")


def params(**changes) -> ZooParams:
    recipe = {"lr": 0.01, "batch": 32, "epochs": 3} | changes.pop("recipe", {})
    return ZooParams(
        **{
            "dataset": "iris",
            "network": MLP(widths=(4, 6, 3)),
            "recipe": Recipe(**recipe),
            "members": 3,
            "heldout": 2,
            "shard_size": 5,
            **changes,
        }
    )


def context(out: Path) -> Context:
    return Context(out=out, data_root=NOWHERE, threads=1)


def trained(out: Path, **changes) -> Shards:
    p = params(**changes)
    zoo(p, context(out))
    return Shards([shard.path(out) for shard in shards(p)])


def rows(store: Shards) -> torch.Tensor:
    return store.rows(0, len(store))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Shards:
    return trained(tmp_path_factory.mktemp("zoo"))


def test_shards_are_consecutive_and_cover_all_members():
    found = shards(params(shard_size=2))
    assert [(s.index, s.start, s.stop) for s in found] == [(0, 0, 2), (1, 2, 4), (2, 4, 5)]
    assert [len(part.names) for part in found] == [2, 2, 1]


def test_names_seeds_splits_and_initialisations_are_stored(tmp_path):
    store = trained(tmp_path, initialisations=("normal", "torch"))
    assert store.names == [f"member-0000{i}" for i in range(5)]
    assert store.facts("seed").tolist() == [0, 1, 2, 3, 4]
    assert list(store.facts("split")) == ["train"] * 3 + ["held-out"] * 2
    assert list(store.facts("initialisation")) == ["normal", "torch", "normal", "torch", "normal"]
    assert store.facts("attempt").tolist() == [0] * 5


@pytest.mark.parametrize("shard", [1, 2])
def test_weights_do_not_depend_on_the_shard(small, tmp_path, shard):
    assert_close(rows(trained(tmp_path, shard_size=shard)), rows(small), 1e-4)


def test_weights_do_not_depend_on_how_many_others_there_are(small, tmp_path):
    assert_close(rows(trained(tmp_path, heldout=5))[:5], rows(small), 1e-4)


def test_members_and_seeds_differ(small, tmp_path):
    mine = rows(small)
    other = rows(trained(tmp_path, seed=1))
    everything = torch.cat([mine, other])
    distances = torch.cdist(everything, everything) + 100 * torch.eye(10)
    assert float(distances.min()) > 0.5


def test_the_same_seed_gives_the_same_digest(small, tmp_path):
    again = trained(tmp_path)
    assert [part.digest for part in again.parts] == [part.digest for part in small.parts]


@pytest.mark.parametrize(("batch", "largest", "least"), [(95, 1e-4, 0), (32, 10, 0.01)])
def test_every_member_has_a_data_order_of_its_own(tmp_path, monkeypatch, batch, largest, least):
    """From equal initial weights members part by their order alone; all data in one batch is the control."""
    same = initialise(MLP(widths=(4, 6, 3)), "normal", torch.Generator().manual_seed(0))
    monkeypatch.setattr(loop, "initialise", lambda *_: {name: t.clone() for name, t in same.items()})
    found = rows(trained(tmp_path, recipe={"batch": batch, "epochs": 6}))
    distances = torch.pdist(found)
    assert float(distances.max()) <= largest
    assert float(distances.min()) >= least


def test_every_epoch_shows_every_example_once_in_an_order_of_its_own():
    steps = [index for epoch in range(3) for index in orders(Seeds(0), 32, np.array([0, 1]), epoch, 95)]
    assert [tuple(s.shape) for s in steps] == [(2, 32), (2, 32), (2, 31)] * 3
    epochs = torch.cat(steps, 1).reshape(2, 3, 95)
    shuffles = epochs.reshape(6, 95)
    assert bool((shuffles.sort(1).values == torch.arange(95)).all())
    assert len({tuple(order.tolist()) for order in shuffles}) == 6


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"weight_decay": 0.1},
        {"optimizer": "sgd", "lr": 0.1},
        {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.01},
    ],
)
def test_stacked_training_equals_a_plain_loop(tmp_path, recipe):
    p, i = params(recipe=recipe), 3
    net = build(p.network)
    net.load_state_dict(initialise(p.network, "kaiming_uniform", generator(p.seed, "member", i, 0)))
    cls = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[p.recipe.optimizer]
    optimizer = cls(net.parameters(), lr=p.recipe.lr, weight_decay=p.recipe.weight_decay)
    train, _ = load_fitting(p.dataset, NOWHERE)
    for index in (o for e in range(3) for o in orders(Seeds(p.seed), 32, np.array([i]), e, len(train.inputs))):
        optimizer.zero_grad()
        F.cross_entropy(net(train.inputs[index[0]]), train.targets[index[0]]).backward()
        optimizer.step()
    alone = torch.cat([tensor.flatten() for tensor in net.state_dict().values()])
    assert_close(rows(trained(tmp_path, recipe=recipe))[i], alone, 1e-5)


def test_training_learns_and_the_stored_figures_are_true(tmp_path):
    store = trained(tmp_path, recipe={"epochs": 60, "lr": 0.02})
    train, validation = load_fitting(Table(name="iris"), NOWHERE)
    net = build(MLP(widths=(4, 6, 3)))
    for i, row in enumerate(rows(store)):
        for part, name in [(train, "train"), (validation, "validation")]:
            logits = functional_call(net, store.layout.unflatten(row), (part.inputs,)).detach()
            right = (logits.argmax(1) == part.targets).float().mean()
            assert store.facts(f"{name}_score")[i] == pytest.approx(float(right))
            assert store.facts(f"{name}_loss")[i] == pytest.approx(
                float(F.cross_entropy(logits, part.targets)), rel=1e-4
            )
    assert store.facts("train_score").min() > 0.9


def test_members_never_see_validation_examples(tmp_path, monkeypatch):
    """Spoiling the validation labels changes the figures and nothing else."""
    store = trained(tmp_path / "a")

    def spoilt(*args):
        train, validation = load_fitting(*args)
        return train, type(validation)(validation.inputs, (validation.targets + 1) % 3)

    monkeypatch.setattr(members_data, "load_fitting", spoilt)
    other = trained(tmp_path / "b")
    assert torch.equal(rows(store), rows(other))
    assert not np.array_equal(store.facts("validation_loss"), other.facts("validation_loss"))


def test_a_shard_that_is_there_is_not_trained_again(tmp_path, monkeypatch):
    p, ctx = params(shard_size=2), context(tmp_path)
    first = shards(p)[0]
    assert make_shard(p, first, ctx) is True
    monkeypatch.setattr(source, "train_members", lambda *_: pytest.fail("trained again"))
    assert make_shard(p, first, ctx) is False


class Killed(Exception):
    pass


def test_a_killed_zoo_trains_only_what_is_missing(tmp_path, monkeypatch):
    whole = trained(tmp_path / "whole", shard_size=2)
    p, calls, train = params(shard_size=2), [], source.train_members

    def dies_at_the_second(*args):
        calls.append(args[2].tolist())
        if len(calls) == 2:
            raise Killed
        return train(*args)

    monkeypatch.setattr(source, "train_members", dies_at_the_second)
    with pytest.raises(Killed):
        zoo(p, context(tmp_path))
    zoo(p, context(tmp_path))
    assert calls == [[0, 1], [2, 3], [2, 3], [4]]
    found = Shards([shard.path(tmp_path) for shard in shards(p)])
    assert [part.digest for part in found.parts] == [part.digest for part in whole.parts]


def diverging(monkeypatch, member: int, attempts: set[int]) -> list[tuple[list[int], int]]:
    """Have one member diverge at these attempts; returns who was trained when."""
    calls, train = [], source.train_members

    def spoilt(net, p, members, attempt, *rest):
        calls.append((members.tolist(), attempt))
        found = train(net, p, members, attempt, *rest)
        if attempt in attempts:
            found[members == member, 7] = float("nan")
        return found

    monkeypatch.setattr(source, "train_members", spoilt)
    return calls


def test_a_member_that_diverged_is_trained_from_a_fallback_seed(small, tmp_path, monkeypatch):
    calls = diverging(monkeypatch, 3, {0})
    summary = zoo(params(), context(tmp_path))
    assert calls == [([0, 1, 2, 3, 4], 0), ([3], 1)]
    assert summary["retrained"] == 1
    store = Shards([shard.path(tmp_path) for shard in shards(params())])
    assert store.facts("attempt").tolist() == [0, 0, 0, 1, 0]
    others = [0, 1, 2, 4]
    assert torch.equal(rows(store)[others], rows(small)[others])
    assert float((rows(store)[3] - rows(small)[3]).norm()) > 0.5
    assert bool(torch.isfinite(rows(store)).all())


def test_a_member_that_no_seed_can_train_is_named(tmp_path, monkeypatch):
    calls = diverging(monkeypatch, 3, {0, 1, 2})
    with pytest.raises(Diverged, match=r"member-00003 .* 2 fallback seeds; lower zoo\.recipe\.lr"):
        zoo(params(shard_size=2), context(tmp_path))
    assert calls == [([0, 1], 0), ([2, 3], 0), ([3], 1), ([3], 2)]
    done, failed, _ = shards(params(shard_size=2))
    assert done.path(tmp_path).exists()
    assert not failed.path(tmp_path).exists()


def test_without_retries_the_first_divergence_ends_it(tmp_path, monkeypatch):
    calls = diverging(monkeypatch, 0, {0})
    with pytest.raises(Diverged, match="member-00000"):
        zoo(params(max_retries=0), context(tmp_path))
    assert calls == [([0, 1, 2, 3, 4], 0)]


def test_a_learning_rate_out_of_all_bounds_diverges_for_real(tmp_path):
    with pytest.raises(Diverged, match="member-00000"):
        zoo(params(recipe={"optimizer": "sgd", "lr": 1e38}, max_retries=1), context(tmp_path))


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        ((5, 6, 3), r"zoo.network doesn't take iris's inputs of shape \(4,\)"),
        ((4, 6, 2), "zoo.network has 2 outputs, but iris has 3 classes"),
        ((4, 6, 1), "zoo.network has one number as its output, but iris has 3 classes"),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_refused(tmp_path, widths, said):
    with pytest.raises(UsageError, match=said):
        zoo(params(network=MLP(widths=widths)), context(tmp_path))


def test_the_number_of_threads_is_given_back(tmp_path):
    before = torch.get_num_threads()
    zoo(params(), context(tmp_path))
    assert torch.get_num_threads() == before


def test_seeds_depend_on_every_part_and_stay_as_they_are():
    """Every key and every published figure rests on these numbers: the second is what release 0.1 drew."""
    assert seed_of(0, "member", 3, 0) != seed_of(0, "member", 30)
    assert seed_of(0, "order", 1, 2) != seed_of(0, "order", 12)
    assert seed_of("1") != seed_of(1)
    assert seed_of(0, "member", 0, 0) == SEED
    assert torch.equal(torch.rand(2, generator=generator(1, "a")), torch.rand(2, generator=generator(1, "a")))


SEED = 1632018072108947073


def test_a_network_with_a_mask_of_infinities_is_trained(tmp_path):
    store = trained(tmp_path, network=Model(model="unusual_networks:Masked", input=(4,)))
    assert torch.isneginf(rows(store)).sum(1).tolist() == [6] * 5
    assert bool(np.isfinite(store.facts("validation_loss")).all())


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("always_dropping", "zoo.network gives other outputs for the same input in evaluation mode"),
        ("TwoHeads", "zoo.network gives a dict, expected one tensor"),
    ],
)
def test_a_network_that_can_not_be_worked_with_is_refused_before_it_is_trained(tmp_path, monkeypatch, model, line):
    monkeypatch.setattr(source, "train_members", lambda *_: pytest.fail("trained"))
    with pytest.raises(UsageError, match=line):
        trained(tmp_path, network=Model(model=f"unusual_networks:{model}", input=(4,)))
