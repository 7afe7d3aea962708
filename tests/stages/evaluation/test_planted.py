"""Generators whose answer is known: one returns members, one adds noise to them, one returns members that nobody saw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from smoke import Done, run_smoke

from stages.artifacts.members import WEIGHTS, open_weights, open_zoo
from stages.canonical.alignment import ALIGNMENT, read_aligner, read_reference
from stages.context import Context
from stages.evaluate import evaluate
from stages.params.evaluate import EvaluateParams
from stages.seeds import generator
from stages.store.refs import Ref
from stages.store.weights import is_train, write_weights

MEMBERS = 60
DIGITS = (
    "zoo.dataset=digits",
    "zoo.network={kind: mlp, widths: [64, 16, 10]}",
    f"zoo.members={MEMBERS}",
    "zoo.heldout=30",
    "zoo.shard_size=90",
    "zoo.recipe={optimizer: adam, lr: 0.01, batch: 64, epochs: 10}",
    "fit.steps=20",
)
PARAMS = EvaluateParams(
    baseline_networks=30,
    noise_levels=(0.1, 0.5, 1.2),
    interpolation_fractions=(0.2, 0.5),
    soup_sizes=(2, 4),
    probe_members=3,
)
Judged = Callable[[torch.Tensor], dict[str, Any]]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run_smoke(tmp_path_factory.mktemp("zoo"), *DIGITS, last="sample")


@pytest.fixture(scope="module")
def unseen(zoo: Done, tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """Members of a second zoo, from other seeds, aligned as the first one's were."""
    other = open_zoo(run_smoke(tmp_path_factory.mktemp("other"), *DIGITS, "zoo.seed=1", last="zoo")["zoo"][0])
    path, layout = zoo["canonicalize"][0].path / ALIGNMENT, other.layout
    aligner, target, names = read_aligner(path), layout.unflatten(read_reference(path)), [s.name for s in layout.slots]
    states = [layout.unflatten(row) for row in other.rows(0, MEMBERS)]
    moves = [aligner.element(target, state, names, generator("unseen", i)) for i, state in enumerate(states)]
    return torch.stack([layout.flatten(aligner.symmetry.act(m, s)) for m, s in zip(moves, states, strict=True)])


@pytest.fixture
def members(zoo: Done) -> torch.Tensor:
    packed = open_weights(zoo["pack"][0])
    return packed.rows()[is_train(packed)]


@pytest.fixture
def judged(zoo: Done, tmp_path: Path, quick_report: None) -> Judged:
    """The figures of a generator that returns these rows."""

    def figures(rows: torch.Tensor) -> dict[str, Any]:
        packed = open_weights(zoo["pack"][0])
        attrs = {name: packed.attrs[name] for name in ("network", "dataset")}
        (tmp_path / "sampled").mkdir()
        (tmp_path / "out").mkdir()
        write_weights(
            tmp_path / "sampled" / WEIGHTS, packed.layout, [f"{i:03d}" for i in range(len(rows))], rows, {}, attrs
        )
        first, aligned, rows_of, flow = (zoo[stage][0] for stage in ("zoo", "canonicalize", "pack", "fit"))
        sampled = Ref(stage="sample", key="planted", path=tmp_path / "sampled", digest="")
        evaluate(first, aligned, rows_of, flow, sampled, PARAMS, Context(tmp_path / "out"))
        return json.loads((tmp_path / "out" / "figures.json").read_text())

    return figures


def test_a_generator_that_returns_members_copies(judged: Judged, members: torch.Tensor):
    found = judged(members)
    assert found["verdict"]["accurate"] is True
    assert "New: no, copies of members" in found["verdict"]["text"]
    assert found["sets"]["generated"]["distance_quotient"]["max"] < 1e-3
    assert found["sets"]["generated"]["max_iou"]["min"] == 1


def test_a_generator_that_returns_relabelled_members_copies(judged: Judged, members: torch.Tensor, zoo: Done):
    symmetry = read_aligner(zoo["canonicalize"][0].path / ALIGNMENT).symmetry
    layout, g = open_weights(zoo["pack"][0]).layout, torch.Generator().manual_seed(0)
    rows = torch.stack([layout.flatten(symmetry.act(symmetry.random(g), layout.unflatten(row))) for row in members])
    found = judged(rows)
    assert "New: no, copies of members" in found["verdict"]["text"]
    assert found["sets"]["generated"]["distance"]["min"] > 0.5 * found["tau"], "as the rows are, they look new"


@pytest.mark.parametrize("level", [0.22, 0.8])  # between those of PARAMS
def test_a_generator_that_adds_noise_to_members_is_no_better_than_noise(judged, members, zoo, level):
    stds = torch.from_numpy(open_weights(zoo["pack"][0]).facts("layout/std")).float()
    sizes = torch.tensor([slot.size for slot in open_weights(zoo["pack"][0]).layout.slots])
    noise = torch.randn(members.shape, generator=torch.Generator().manual_seed(5))
    found = judged(members + level * stds.repeat_interleave(sizes) * noise)
    assert found["verdict"]["new"] is False
    assert found["verdict"]["better_than_baselines"] is False
    assert "Better than noise, interpolation or soup at equal distance: no" in found["verdict"]["text"]
    assert found["gain_over_baselines"]["gain"] < 0.01
    at = found["sets"]["generated"]["distance_in_tau"]
    beside = [s["distance_in_tau"] for s in found["sets"].values() if s["family"] == "noise"]
    assert min(abs(distance / at - 1) for distance in beside) < 0.05, "one level lies where the generator does"


def test_a_generator_that_returns_unseen_members_is_indistinguishable(judged: Judged, unseen: torch.Tensor):
    found = judged(unseen)
    assert found["verdict"]["accurate"] is True
    assert found["verdict"]["new"] is True
    assert found["verdict"]["better_than_baselines"] is True
    assert "indistinguishable" in found["verdict"]["text"]
    for test in (found["sets"]["generated"]["two_sample"][name] for name in ("weights", "outputs")):
        assert test["low"] <= 0.5 <= test["high"]
    assert found["schema"] == 4
    worth = found["canonicalization"]
    assert worth["bit_exact"] is True
    assert worth["score_before"] == worth["score_after"] == worth["score_undone"]
    assert worth["pca_round_trip"]["k"] == [1, 2, 5, 10, 20, 50]
