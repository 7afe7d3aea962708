"""Zoos of several data sets: every member is trained on its own, and generated networks are judged by their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from smoke import Done, run_smoke
from strategies import assert_close

from pipeline.config import load
from stages.artifacts.members import open_weights, open_zoo
from stages.canonicalize import canonicalize
from stages.context import Context
from stages.errors import Diverged, UsageError
from stages.evaluate import evaluate
from stages.evaluation.inputs import comparable
from stages.members.sources import train as source
from stages.pack import pack
from stages.params.canonicalize import CanonicalizeParams
from stages.params.evaluate import EvaluateParams
from stages.params.network import MLP
from stages.params.pack import PackParams
from stages.params.zoo import ZooParams
from stages.sample import sample
from stages.store.refs import Ref
from stages.store.weights import Shards, write_weights
from stages.zoo import shards, zoo

FEW = {"name": "iris", "train": 60, "test": 20}
MORE = {"name": "iris", "train": 100, "test": 30}
OF_BOTH = (
    "zoo.dataset={name: iris, train: 60, test: 20}",
    "zoo.other_datasets=[{name: iris, train: 100, test: 30}]",
    "zoo.members=24",
    "zoo.heldout=8",
    "fit.condition=[dataset]",
    "sample.condition={dataset: iris}",
)
JUDGE = EvaluateParams(
    baseline_networks=8, noise_levels=(0.1,), interpolation_fractions=(0.5,), soup_sizes=(2,), probe_members=3
)


def params(**changes: Any) -> ZooParams:
    return ZooParams.model_validate(
        {
            "dataset": FEW,
            "other_datasets": [MORE],
            "network": MLP(widths=(4, 6, 3)),
            "members": 4,
            "heldout": 4,
            "shard_size": 3,
            "recipe": {"lr": 0.01, "batch": 32, "epochs": 3},
            **changes,
        }
    )


def trained(out: Path, **changes: Any) -> Shards:
    p = params(**changes)
    zoo(p, Context(out, Path("/nonexistent"), threads=1))
    return Shards([shard.path(out) for shard in shards(p)])


def rows(store: Shards) -> torch.Tensor:
    return store.rows(0, len(store))


def test_members_take_turns_and_every_data_set_has_every_initialisation(tmp_path: Path):
    store = trained(tmp_path, initialisations=("normal", "torch"))
    assert list(store.facts("dataset")) == ["iris", "iris-2"] * 4
    assert store.facts("seed").tolist() == list(range(8))
    assert list(store.facts("initialisation")) == ["normal", "normal", "torch", "torch"] * 2
    assert list(store.facts("split")) == ["train"] * 4 + ["held-out"] * 4
    assert store.attrs["dataset"] is None
    assert [one["train"] for one in store.attrs["datasets"].values()] == [60, 100]


def test_each_member_is_the_one_that_a_zoo_of_its_data_alone_would_hold(tmp_path: Path):
    """Weights and figures; those of the other data are the control."""
    both, few, more = (
        trained(tmp_path / str(i), **changes)
        for i, changes in enumerate(
            (
                {},
                {"other_datasets": []},
                {"dataset": MORE, "other_datasets": []},
            )
        )
    )
    for first, mine, other in ((0, few, more), (1, more, few)):
        assert_close(rows(both)[first::2], rows(mine)[first::2], 1e-4)
        assert float((rows(both) - rows(other))[first::2].abs().max()) > 0.01
        for fact in ("train_loss", "validation_loss"):
            found, alone, away = (store.facts(fact)[first::2] for store in (both, mine, other))
            assert np.allclose(found, alone, rtol=1e-4)
            assert not np.allclose(found, away, rtol=1e-4)


@pytest.mark.parametrize("shard", [1, 8])
def test_members_do_not_depend_on_the_shard(tmp_path: Path, shard: int):
    assert_close(rows(trained(tmp_path / "a", shard_size=shard)), rows(trained(tmp_path / "b")), 1e-4)


def test_a_member_that_diverged_is_named_by_its_number_in_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    train = source.train_members

    def spoilt(net: Any, p: Any, members: np.ndarray, *rest: Any) -> torch.Tensor:
        found = train(net, p, members, *rest)
        found[torch.from_numpy(members == 3), 7] = float("nan")
        return found

    monkeypatch.setattr(source, "train_members", spoilt)
    with pytest.raises(Diverged, match="member-00003"):
        trained(tmp_path, shard_size=8)


@pytest.mark.parametrize(
    ("other_datasets", "says"),
    [
        (["digits"], "digits has inputs of 64 values and classes, but iris has inputs of 4 values and classes"),
    ],
)
def test_data_sets_that_are_not_alike_are_refused(tmp_path: Path, other_datasets: list[str], says: str):
    with pytest.raises(UsageError, match=says) as caught:
        trained(tmp_path, other_datasets=other_datasets)
    assert "\n" not in str(caught.value)


def test_subsets_of_classes_are_data_sets_and_members_know_theirs(tmp_path: Path):
    halves = {"dataset": {"name": "iris", "only": [0, 1]}, "other_datasets": [{"name": "iris", "only": [1, 2]}]}
    store = trained(tmp_path, **halves, recipe={"lr": 0.05, "batch": 8, "epochs": 20})
    assert store.facts("train_score").min() > 0.85
    assert list(store.facts("dataset")) == ["iris", "iris-2"] * 4


def test_every_data_set_needs_two_members_of_both_kinds():
    with pytest.raises(ValidationError, match="at least 6: two of each of 3 data sets"):
        params(other_datasets=[MORE, MORE])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_smoke(tmp_path_factory.mktemp("several"), *OF_BOTH, last="sample")


def test_pack_carries_the_data_set_and_sample_the_condition(done: Done):
    packed, sampled = (open_weights(done[stage][0]) for stage in ("pack", "sample"))
    assert list(packed.facts("dataset")) == ["iris", "iris-2"] * 16
    assert packed.attrs["dataset"] is None
    assert sampled.attrs["condition"] == {"dataset": "iris"}
    assert sampled.attrs["dataset"] == packed.attrs["datasets"]["iris"]


def test_networks_of_several_data_sets_are_not_drawn_without_saying_of_which(done: Done, tmp_path: Path):
    asked = load(Path("conf/smoke.yaml")).sample
    with pytest.raises(UsageError, match="of iris and iris-2; say which") as caught:
        sample(done["pack"][0], done["fit"][0], asked, Context(tmp_path))
    assert "\n" not in str(caught.value)


def alone(done: Done, folder: Path) -> dict[str, Ref]:
    """The stages up to pack with the first data set's members and no others."""
    both = open_zoo(done["zoo"][0])
    facts = {name: both.facts(name)[::2] for name in str(both.parts[0].array.attrs["coordinates"]).split()}
    attrs = {"network": both.attrs["network"], "dataset": both.attrs["datasets"]["iris"], "score": "accuracy"}
    refs = {name: Ref(stage=name, key="k", path=folder / name, digest="") for name in ("zoo", "canonicalize", "pack")}
    (folder / "zoo" / "shards").mkdir(parents=True)
    write_weights(folder / "zoo" / "shards" / "0000.zarr", both.layout, both.names[::2], rows(both)[::2], facts, attrs)
    canonicalize(refs["zoo"], CanonicalizeParams(), Context(folder / "canonicalize"))
    pack(refs["zoo"], refs["canonicalize"], PackParams(), Context(folder / "pack"))
    return refs


def judged(refs: dict[str, Ref], out: Path) -> dict[str, Any]:
    out.mkdir()
    first, aligned, packed, flow, sampled = (refs[name] for name in ("zoo", "canonicalize", "pack", "fit", "sample"))
    evaluate(first, aligned, packed, flow, sampled, JUDGE, Context(out))
    return json.loads((out / "figures.json").read_text())


@pytest.mark.slow
def test_figures_are_those_of_a_zoo_of_the_own_members_alone(done: Done, tmp_path: Path):
    refs = {stage: ref for stage, (ref, _) in done.items()}
    found, expected = judged(refs, tmp_path / "both"), judged(refs | alone(done, tmp_path), tmp_path / "alone")
    assert found["zoo"] == {"members": 12, "held-out": 4}
    assert (found["test_examples"], found["condition"]) == (20, {"dataset": "iris"})
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["figures.json", "figures.zarr"]
    for figures in (found, expected):
        del figures["alignment"]  # which is that of all members
    assert found == expected


@pytest.mark.slow
def test_networks_of_the_other_data_set_are_judged_by_it(done: Done, tmp_path: Path):
    asked = load(Path("conf/smoke.yaml"), ["sample.condition={dataset: iris-2}"]).sample
    refs = {stage: ref for stage, (ref, _) in done.items()}
    refs["sample"] = Ref(stage="sample", key="k", path=tmp_path / "sample", digest="")
    sample(refs["pack"], refs["fit"], asked, Context(tmp_path / "sample"))
    found = judged(refs, tmp_path / "out")
    assert (found["test_examples"], found["dataset"]["train"]) == (30, 100)
    packed, sampled = (open_weights(refs[stage]) for stage in ("pack", "sample"))
    part = comparable(packed, sampled, tmp_path)
    assert part.names == packed.names[1::2]
    assert torch.equal(part.rows(), packed.rows()[1::2])
