"""The flow learns the members' distribution, from the members alone, and samples complete networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages import fit as fit_module
from stages.artifacts.fitted import CURVES, VELOCITY, read_fitted
from stages.artifacts.members import open_weights
from stages.artifacts.pca import FACTS
from stages.canonical.alignment import ALIGNMENT, Alignment
from stages.context import Context
from stages.datasets import Train, Validation, load_fitting
from stages.errors import Diverged, UsageError
from stages.fit import CHECKPOINT, fit
from stages.flow_training.batches import Batch, Batches, prefetched, times
from stages.flow_training.data import FlowData, flow_data
from stages.members.scoring import scores_and_losses
from stages.nets.registry import build
from stages.pack import pack
from stages.params.dataset import Dataset, dataset_from
from stages.params.fit import FitParams
from stages.params.network import MLP
from stages.params.pack import PackParams
from stages.params.sample import SampleParams
from stages.sample import sample
from stages.sampling import selection
from stages.store.arrays import Named, write_arrays
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.store.weights import is_train, write_weights
from stages.symmetry.table import Axis, Group, Symmetry

NETWORK = MLP(widths=(4, 3, 3))
HELDOUT = 8
AXES = (Axis("1.weight", 0, +1), Axis("1.bias", 0, +1), Axis("3.weight", 1, -1))
HIDDEN = Symmetry({"hidden1": Group(3, AXES)})


def ref(stage: str, path: Path) -> Ref:
    return Ref(stage=stage, key="test", path=path, digest="")


def packed_from(
    rows: torch.Tensor,
    folder: Path,
    dataset: str | None = "iris",
    several: Mapping[str, Any] | None = None,
    **known: np.ndarray,
) -> Ref:
    """A packed artifact of these networks, the last few held out, nothing relabelled."""
    layout = Layout.of(build(NETWORK).state_dict())
    n = len(rows)
    facts = {name: np.zeros(n) for name in FACTS} | known
    facts |= {"dataset": np.resize(np.array([*several], dtype=object), n)} if several else {}
    facts["split"] = np.array(["train"] * (n - HELDOUT) + ["held-out"] * HELDOUT, dtype=object)
    attrs = {"network": NETWORK.model_dump(mode="json"), "dataset": {"name": dataset} if dataset else None}
    attrs |= {"datasets": several} if several else {}
    for name in ("zoo/shards", "canonical", "packed"):
        (folder / name).mkdir(parents=True)
    write_weights(folder / "zoo/shards/0000.zarr", layout, [f"m{i}" for i in range(n)], rows, facts, attrs)
    same = Alignment({"hidden1": torch.arange(3).repeat(n, 1)}, {})
    facts = {"symmetry": HIDDEN.to_json()}
    stored = {**same.arrays(), "reference": Named(("parameter",), rows[0].numpy())}
    write_arrays(folder / "canonical" / ALIGNMENT, "alignment", stored, facts)
    pack(
        ref("zoo", folder / "zoo"), ref("canonicalize", folder / "canonical"), PackParams(), Context(folder / "packed")
    )
    return ref("pack", folder / "packed")


def blob(n: int = 72, seed: int = 0) -> torch.Tensor:
    """Members from a Gaussian with a known mean and very different spreads."""
    scale = torch.linspace(0.05, 2, 27)
    return 3 + scale * torch.randn(n, 27, generator=torch.Generator().manual_seed(seed))


def params(**values: object) -> FitParams:
    base = {
        "velocity": {"hidden": 64, "time_dim": 8, "dropout": 0.0},
        "eval_samples": 0,
        "steps": 400,
        "batch": 64,
        "check_every_steps": 200,
        "ema_decay": 0.99,
        "optimizer": {"lr": 3e-3},
    }
    return FitParams.model_validate(base | values)


def fitted(packed: Ref, folder: Path, **values: object) -> Ref:
    folder.mkdir(parents=True)
    fit(packed, params(**values), Context(folder))
    return ref("fit", folder)


def sampled(packed: Ref, flow: Ref, folder: Path, networks: int, **values: object) -> torch.Tensor:
    folder.mkdir(parents=True)
    asked = {"networks": networks, "method": "heun", "steps": 20} | values
    sample(packed, flow, SampleParams.model_validate(asked), Context(folder))
    return open_weights(ref("sample", folder)).rows()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Ref:
    return packed_from(blob(), tmp_path_factory.mktemp("packed"))


TOKENS = {"space": {"kind": "tokens"}, "velocity": {"kind": "tokens", "width": 32, "depth": 2, "heads": 2}}
SPACES = {
    "codes": {"space": {"kind": "pca", "whiten": True}},
    "raw": {"space": {"kind": "raw"}},
    "tokens": TOKENS,
    "matched tokens": {**TOKENS, "coupling": "units"},
    "matched networks": {"space": {"kind": "raw"}, "coupling": "networks"},
}


@pytest.mark.parametrize("kind", SPACES)
def test_samples_have_the_members_mean_and_spread(packed: Ref, tmp_path: Path, kind: str):
    flow = fitted(packed, tmp_path / "fit", steps=500, **SPACES[kind])
    rows = sampled(packed, flow, tmp_path / "sample", 400)
    members = blob()[:-HELDOUT]
    assert torch.allclose(rows.mean(0), members.mean(0), atol=0.5)
    assert 0.7 < float((rows - rows.mean(0)).norm() / 400**0.5 / ((members - members.mean(0)).norm() / 64**0.5)) < 1.3


def test_an_untrained_flow_does_not_pass_that_test(packed: Ref, tmp_path: Path):
    rows = sampled(packed, fitted(packed, tmp_path / "fit", steps=1, space={"kind": "raw"}), tmp_path / "sample", 50)
    assert not torch.allclose(rows.mean(0), blob()[:-HELDOUT].mean(0), atol=0.5)


def test_held_out_members_never_shape_the_flow(packed: Ref, tmp_path: Path):
    others = blob()
    others[-HELDOUT:] = 100 * torch.randn(HELDOUT, 27, generator=torch.Generator().manual_seed(9))
    same = packed_from(others, tmp_path / "others")
    a = fitted(packed, tmp_path / "a", steps=20).path / VELOCITY
    b = fitted(same, tmp_path / "b", steps=20).path / VELOCITY
    assert a.read_bytes() == b.read_bytes()
    changed = packed_from(blob(seed=1), tmp_path / "changed")
    assert a.read_bytes() != (fitted(changed, tmp_path / "c", steps=20).path / VELOCITY).read_bytes(), "members do"


def test_picking_by_held_out_loss_keeps_the_weights_of_the_lowest(packed: Ref, tmp_path: Path):
    folder = tmp_path / "fit"
    folder.mkdir()
    summary = fit(
        packed, params(checkpoint="heldout", steps=300, check_every_steps=30, optimizer={"lr": 2e-2}), Context(folder)
    )
    curves = np.loadtxt(folder / CURVES, delimiter=",", skiprows=1)
    assert summary["lowest_heldout_loss"] == pytest.approx(curves[:, 2].min())
    upto = fitted(packed, tmp_path / "last", steps=300, check_every_steps=30, optimizer={"lr": 2e-2})
    equal = (upto.path / VELOCITY).read_bytes() == (folder / VELOCITY).read_bytes()
    assert equal == (summary["lowest_heldout_step"] == 300)


def test_the_source_is_as_wide_as_asked(packed: Ref, tmp_path: Path):
    points = blob()[:-HELDOUT]
    spread = float((points - points.mean(0)).square().mean().sqrt())
    absolute = fitted(packed, tmp_path / "a", steps=1, space={"kind": "raw"}, source={"std": 0.01, "relative": False})
    relative = fitted(packed, tmp_path / "r", steps=1, space={"kind": "raw"}, source={"std": 0.5})
    assert read_fitted(absolute.path).source_std == 0.01
    assert read_fitted(relative.path).source_std == pytest.approx(0.5 * spread, rel=1e-4)


@pytest.mark.parametrize(("law", "largest"), [("uniform", 3**0.5), ("laplace", 3.5)])
def test_networks_are_drawn_from_the_law_that_was_fitted(packed: Ref, tmp_path: Path, law: str, largest: float):
    """A flow that has learned nothing hands on its source: bounded if uniform, with long tails if Laplace."""
    source, still = {"law": law, "std": 2.0, "relative": False}, {"lr": 1e-12, "final_lr": 0}
    flow = fitted(packed, tmp_path / "fit", steps=1, space={"kind": "raw"}, source=source, optimizer=still)
    rows = sampled(packed, flow, tmp_path / "sample", 400) / 2.0
    assert float(rows.std()) == pytest.approx(1, abs=0.05)
    assert (float(rows.abs().max()) < largest + 0.01) == (law == "uniform")


def data_of(packed: Ref, **values: object) -> FlowData:
    return flow_data(open_weights(packed), params(**values))


def test_a_batch_depends_on_the_seed_and_its_number_alone(packed: Ref):
    found = [
        Batches(data_of(packed), params(seed=seed), 1.0).draw(step) for seed, step in ((0, 3), (0, 3), (0, 4), (1, 3))
    ]
    for part in ("x_t", "t", "velocity"):
        same, again, later, other = (getattr(batch.path, part) for batch in found)
        assert torch.equal(same, again)
        assert not torch.equal(same, later)
        assert not torch.equal(same, other)


def test_batches_drawn_ahead_are_the_same_ones():
    assert list(prefetched(lambda i: i * i, 3, 9)) == [i * i for i in range(3, 9)]  # type: ignore[arg-type, return-value]
    assert list(prefetched(lambda i: i, 3, 3)) == []  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("kind", ["raw", "tokens", "matched tokens"])
def test_members_read_from_the_store_give_the_same_flow_as_members_in_memory(packed: Ref, tmp_path: Path, kind: str):
    held, read = (data_of(packed, max_memory_gib=gib, **SPACES[kind]) for gib in (1.0, 1e-12))
    assert held.cache is not None
    assert read.cache is None
    flows = [
        fitted(packed, tmp_path / str(gib), steps=20, max_memory_gib=gib, **SPACES[kind]).path for gib in (1.0, 1e-12)
    ]
    assert (flows[0] / VELOCITY).read_bytes() == (flows[1] / VELOCITY).read_bytes()


def test_beta_times_have_the_law_that_was_asked_for():
    draw = torch.Generator().manual_seed(0)
    t = times(params(time={"kind": "beta", "alpha": 2.0, "beta": 5.0}), 20_000, draw)
    assert float(t.mean()) == pytest.approx(2 / 7, abs=0.01)
    assert float(times(params(), 20_000, draw).mean()) == pytest.approx(0.5, abs=0.01)


def test_a_loss_that_is_not_finite_stops_with_a_word(packed: Ref, tmp_path: Path):
    with pytest.raises(Diverged, match=r"lower fit\.optimizer\.lr"):
        fitted(packed, tmp_path / "fit", optimizer={"lr": 1e30}, steps=40)


def test_a_loss_that_becomes_nan_stops_at_its_step_and_the_checkpoint_before_it_is_good(
    packed: Ref, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    short = {"steps": 120, "check_every_steps": 40}
    undisturbed = fitted(packed, tmp_path / "undisturbed", **short).path
    draw = Batches.draw

    def spoilt(batches: Batches, step: int) -> Batch:
        batch = draw(batches, step)
        factor = torch.nan if step == 95 else 1.0
        return batch._replace(path=batch.path._replace(velocity=batch.path.velocity * factor))

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "draw", spoilt)
        with pytest.raises(Diverged) as error:
            fitted(packed, tmp_path / "fit", **short)
    checkpoint = tmp_path / "fit" / CHECKPOINT
    assert f"is nan at step 96 of 120; the last checkpoint, of step 80, is kept at {checkpoint}" in str(error.value)
    fit(packed, params(**short), Context(tmp_path / "fit"))  # goes on from there
    assert (tmp_path / "fit" / VELOCITY).read_bytes() == (undisturbed / VELOCITY).read_bytes()


@pytest.mark.parametrize(("value", "named"), [(torch.inf, "inf"), (torch.nan, "nan")])
def test_samples_that_are_not_finite_stop_a_fit_whose_loss_still_is(
    packed: Ref, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, named: str
):
    monkeypatch.setattr(fit_module, "integrate", lambda network, x, *how: x * value)
    with pytest.raises(Diverged, match=f"the dispersion is {named} at step 2 of 4; no checkpoint"):
        fitted(packed, tmp_path / "fit", steps=4, check_every_steps=2)


def test_the_global_random_state_is_left_alone(packed: Ref, tmp_path: Path):
    before = torch.get_rng_state()
    fitted(packed, tmp_path / "fit", steps=2)
    assert torch.equal(before, torch.get_rng_state())


def test_events_and_curves_are_there_and_the_checkpoint_is_gone(packed: Ref, tmp_path: Path):
    folder = fitted(packed, tmp_path / "fit", steps=4, check_every_steps=2).path
    assert list((folder / "events").glob("events*"))
    assert (folder / CURVES).read_text().splitlines()[0] == "step,loss,heldout_loss,dispersion"
    assert not list(folder.glob("checkpoint*"))


def test_a_network_depends_on_the_seed_and_its_number_alone(packed: Ref, tmp_path: Path):
    flow = fitted(packed, tmp_path / "fit", steps=50)
    few, many = (sampled(packed, flow, tmp_path / f"s{n}", n) for n in (3, 300))
    assert torch.allclose(few, many[:3], atol=1e-4)
    assert not torch.allclose(many[0], many[1], atol=1e-2)


def test_codes_lie_in_the_span_of_the_training_members(packed: Ref, tmp_path: Path):
    flow = fitted(packed, tmp_path / "fit", steps=2, space={"kind": "pca", "components": 5})
    rows = sampled(packed, flow, tmp_path / "sample", 30)
    store = open_weights(packed)
    centred = rows - torch.from_numpy(store.facts("pca/mean"))
    assert torch.linalg.matrix_rank(centred, atol=1e-3) == 5
    assert int(is_train(store).sum()) == 64


def test_dispersion_does_not_mind_the_order_that_tokens_come_in(packed: Ref, tmp_path: Path):
    """Members whose neurons all differ, drawn with their neurons in any order, still spread as the members do."""
    rows = open_weights(packed).rows()
    apart = rows + 5 * torch.arange(3.0).repeat_interleave(1).repeat(9)[:27]
    flow = packed_from(apart, tmp_path / "apart")
    folder = tmp_path / "fit"
    folder.mkdir()
    summary = fit(flow, params(**TOKENS, steps=500), Context(folder))
    assert summary["dispersion"] == pytest.approx(1, abs=0.3)


def test_a_fit_stops_once_the_held_out_loss_has_stopped_falling(packed: Ref, tmp_path: Path):
    """With a learning rate that spoils what it has learned."""
    spoiling = {"optimizer": {"lr": 0.3}, "steps": 300, "check_every_steps": 20}
    curves = [
        np.loadtxt(
            fitted(packed, tmp_path / f"{p}", patience_checks=p, **spoiling).path / CURVES, delimiter=",", skiprows=1
        )
        for p in (3, 1000)
    ]
    assert len(curves[1]) == 15
    assert len(curves[0]) - 1 - int(curves[0][:, 2].argmin()) == 3


def conditioned(folder: Path) -> Ref:
    """Members of two initialisations, whose weights lie around +3 and -3."""
    rows = blob(144)
    kinds = np.array(["kaiming_uniform", "normal"] * 72, dtype=object)
    rows[kinds == "normal"] *= -1
    return packed_from(rows, folder, initialisation=kinds, validation_score=np.linspace(0.5, 1.0, 144))


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ref, Ref]:
    """Such members, and a flow conditioned on two facts about them."""
    folder = tmp_path_factory.mktemp("conditional")
    packed = conditioned(folder / "packed")
    facts = ["initialisation", "validation_score"]
    return packed, fitted(packed, folder / "fit", steps=800, condition=facts, space={"kind": "raw"})


def test_networks_can_be_asked_for_by_one_fact_of_two(conditional: tuple[Ref, Ref], tmp_path: Path):
    means = {}
    for kind in ("kaiming_uniform", "normal", None):
        condition = {"condition": {"initialisation": kind}} if kind else {}
        means[kind] = sampled(*conditional, tmp_path / f"{kind}", 200, **condition).mean()
    assert float(means["kaiming_uniform"]) == pytest.approx(3, abs=0.7)
    assert float(means["normal"]) == pytest.approx(-3, abs=0.7)
    assert abs(float(means[None])) < 1.5, "the control: unconditional, it makes both"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"initialisation": "xavier"}, "'xavier'; expected one of kaiming_uniform, normal"),
        ({"dataset": "mnist"}, "condition dataset: the flow is conditioned on initialisation, validation_score"),
    ],
)
def test_a_condition_that_the_flow_does_not_know_is_named(
    conditional: tuple[Ref, Ref], tmp_path: Path, condition: dict[str, str], message: str
):
    with pytest.raises(UsageError, match=message):
        sampled(*conditional, tmp_path / "sample", 4, condition=condition)


def test_a_cold_source_makes_networks_more_alike(packed: Ref, tmp_path: Path):
    flow = fitted(packed, tmp_path / "fit", steps=300, space={"kind": "raw"})
    warm, cold = (sampled(packed, flow, tmp_path / str(t), 200, temperature=t) for t in (1.0, 0.3))
    assert float((cold - cold.mean(0)).norm() / (warm - warm.mean(0)).norm()) < 0.6


def test_of_many_draws_the_best_on_training_data_are_kept(packed: Ref, tmp_path: Path):
    """The oracle: all draws by themselves, and their losses on the training data."""
    flow = fitted(packed, tmp_path / "fit", steps=50)
    drawn, kept = (
        sampled(packed, flow, tmp_path / "all", 40),
        sampled(packed, flow, tmp_path / "kept", 10, keep_fraction=0.25),
    )
    train, _ = load_fitting(dataset_from({"name": "iris"}), Path("data/0_raw"))
    _, losses = scores_and_losses(build(NETWORK), drawn, train, torch.device("cpu"))
    best = sorted(np.argsort(losses)[:10].tolist())
    assert torch.allclose(kept, drawn[best], atol=1e-5)
    assert best != list(range(10))


def test_the_best_are_those_on_the_data_that_the_condition_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of two data sets, one with other labels: the best on one of them aren't the best on the other."""
    several = {"a": {"name": "iris"}, "b": {"name": "iris", "train": 100}}
    packed = packed_from(blob(), tmp_path / "packed", None, several)
    flow = fitted(packed, tmp_path / "fit", steps=50, condition=["dataset"])

    def relabelled(dataset: Dataset, root: Path) -> tuple[Train, Validation]:
        train, validation = load_fitting(dataset, root)
        return Train(train.inputs, (train.targets + bool(dataset.train)) % 3), validation

    monkeypatch.setattr(selection, "load_fitting", relabelled)
    best = {}
    for name in several:
        condition = {"condition": {"dataset": name}}
        drawn = sampled(packed, flow, tmp_path / f"all {name}", 40, **condition)
        kept = sampled(packed, flow, tmp_path / f"kept {name}", 10, keep_fraction=0.25, **condition)
        for other, data in several.items():
            _, losses = scores_and_losses(
                build(NETWORK), drawn, relabelled(dataset_from(data), Path())[0], torch.device("cpu")
            )
            best[other] = drawn[sorted(np.argsort(losses)[:10].tolist())]
        assert torch.allclose(kept, best[name], atol=1e-5)
        assert not torch.allclose(best["a"], best["b"], atol=1e-2)


def test_keeping_the_best_needs_data(tmp_path: Path):
    packed = packed_from(blob(), tmp_path / "packed", dataset=None)
    flow = fitted(packed, tmp_path / "fit", steps=2)
    with pytest.raises(UsageError, match="no data to select by"):
        sampled(packed, flow, tmp_path / "sample", 4, keep_fraction=0.5)


@pytest.mark.parametrize("kind", SPACES)
def test_a_late_start_makes_variations_of_training_members(packed: Ref, tmp_path: Path, kind: str):
    flow, members = fitted(packed, tmp_path / "fit", steps=20, **SPACES[kind]), blob()[:-HELDOUT]
    spread = float((members - members.mean(0)).norm(dim=1).median())

    def far(start: float) -> float:
        rows = sampled(packed, flow, tmp_path / f"{start}", 40, start_time=start)
        return float(torch.cdist(rows, members).amin(1).median()) / spread

    assert far(0.999) < 0.02 < far(0.9) < far(0.5)
    assert (
        len({int(i) for i in torch.cdist(open_weights(ref("sample", tmp_path / "0.999")).rows(), members).argmin(1)})
        > 20
    )


def test_a_late_start_excludes_a_condition():
    with pytest.raises(ValueError, match="start_time > 0 starts from any member"):
        SampleParams.model_validate({"networks": 1, "start_time": 0.5, "condition": {"dataset": "iris"}})


def test_the_output_loss_changes_the_fit(packed: Ref, tmp_path: Path):
    plain, weighted = (
        fitted(packed, tmp_path / f"{o}", steps=20, output_loss_weight=o, **TOKENS).path / VELOCITY for o in (0, 0.5)
    )
    assert plain.read_bytes() != weighted.read_bytes()


def test_outputs_need_data(tmp_path: Path):
    with pytest.raises(UsageError, match=r"fit\.output_loss_weight needs .* one data set"):
        fitted(packed_from(blob(), tmp_path / "packed", None), tmp_path / "fit", output_loss_weight=0.5, **TOKENS)


@pytest.mark.parametrize(("dropout", "choices"), [(0.2, {(0, 0), (0, 1), (1, 0), (1, 1)}), (0.0, {(1, 1)})])
def test_of_several_facts_the_flow_learns_to_go_by_any(tmp_path: Path, dropout: float, choices: set[tuple[int, int]]):
    facts = ["initialisation", "validation_score"]
    asked = {"condition": facts, "condition_dropout": dropout, "batch": 400, "space": {"kind": "raw"}}
    encoded = Batches(data_of(conditioned(tmp_path), **asked), params(**asked), 1.0).draw(0).condition
    assert encoded is not None
    known = [(int(row[:2].sum()), int(row[3])) for row in encoded]  # one name of two; a number's flag
    counts = {choice: known.count(choice) / 400 for choice in choices}
    assert sum(counts.values()) == pytest.approx(1)
    assert min(counts.values()) > 0.15
