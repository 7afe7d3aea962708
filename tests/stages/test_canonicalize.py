from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import assert_close, random_rows, write_zoo

from stages import canonicalize as module
from stages.canonical import form
from stages.canonical.alignment import ALIGNMENT, read_alignment, read_symmetry
from stages.canonicalize import canonicalize
from stages.context import Context
from stages.errors import FunctionChanged, UsageError
from stages.nets.registry import build
from stages.nets.stacked import outputs
from stages.params.canonicalize import CanonicalizeParams
from stages.params.network import MLP, Model
from stages.store.arrays import open_group, read
from stages.store.layout import Layout
from stages.store.refs import Ref
from stages.symmetry.derive import Derived, derive
from stages.symmetry.element import random_element
from stages.symmetry.rebasin import match
from stages.symmetry.table import Group, Symmetry

NETWORK = MLP(widths=(4, 6, 5, 3))
TABLE = derive(build(NETWORK), torch.zeros(2, 4)).symmetry
LAYOUT, ROWS = random_rows(NETWORK, 7)


def relabelled(row: torch.Tensor, copies: int) -> torch.Tensor:
    draw, weights = torch.Generator().manual_seed(9), LAYOUT.unflatten(row)
    moved = [TABLE.act(TABLE.random(draw), weights) for _ in range(copies)]
    return torch.stack([LAYOUT.flatten(m) for m in moved])


def rescaled(rows: torch.Tensor) -> torch.Tensor:
    draw = torch.Generator().manual_seed(6)

    def one(row):
        weights = LAYOUT.unflatten(row.double())
        scales = {name: torch.empty(g.size).uniform_(0.2, 5, generator=draw) for name, g in TABLE.groups.items()}
        return LAYOUT.flatten(TABLE.rescale(scales, weights))

    return torch.stack([one(row) for row in rows])


class Run:
    """One canonicalization of given rows, and what it left."""

    def __init__(self, folder: Path, rows: torch.Tensor, progress=lambda *_: None, network=NETWORK, **params) -> None:
        zoo = folder / "zoo"
        ref = Ref(stage="zoo", key="z", path=zoo, digest="") if zoo.exists() else write_zoo(zoo, network, rows)
        self.rows = rows
        self.out = folder / "canonical"
        context = Context(out=self.out, data_root=Path("/nonexistent"), threads=1, progress=progress)
        self.summary = canonicalize(ref, CanonicalizeParams(**params), context)
        self.alignment = read_alignment(self.out / ALIGNMENT)
        table, layout = read_symmetry(self.out / ALIGNMENT), Layout.of_module(build(network))
        self.aligned = self.alignment.canonical(table, layout, rows, 0)

    def fact(self, name: str) -> np.ndarray:
        return read(open_group(self.out / ALIGNMENT), name)


METHODS = [
    {},
    {"reference": "medoid"},
    {"reference": "mean"},
    {"balance_norms": True},
    {"balance_norms": True, "reference": "mean"},
    {"method": "none"},
    {"method": "none", "balance_norms": True},
    {"method": "transfusion"},
]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """Runs over `ROWS`, each made once."""
    runs = {}

    def run_of(**params) -> Run:
        if str(params) not in runs:
            runs[str(params)] = Run(tmp_path_factory.mktemp("run"), ROWS, **params)
        return runs[str(params)]

    return run_of


@pytest.mark.parametrize("params", METHODS, ids=str)
def test_every_member_computes_what_it_did(run_of, params):
    run = run_of(**params)
    inputs, net = torch.randn(50, 4).double(), build(NETWORK).double()
    before, after = (outputs(net, LAYOUT, rows.double(), inputs) for rows in (ROWS, run.aligned))
    assert_close(after, before, 1e-5 if params.get("balance_norms") else 1e-12)
    bound = 1e-5 if params.get("balance_norms") else 1e-12
    assert run.fact("output_gap").shape == (7,)
    assert run.fact("output_gap").max() < bound
    assert run.summary["largest_output_gap"] == pytest.approx(run.fact("output_gap").max())


@pytest.mark.parametrize("params", METHODS, ids=str)
def test_alignments_are_permutations(run_of, params):
    run = run_of(**params)
    assert {g: tuple(p.shape) for g, p in run.alignment.permutations.items()} == {"1": (7, 6), "3": (7, 5)}
    for p in run.alignment.permutations.values():
        assert bool((p.sort(1).values == torch.arange(p.shape[1])).all())
    assert bool(run.alignment.scales) == params.get("balance_norms", False)


def test_no_weights_are_stored_but_the_reference(run_of):
    run = run_of()
    group = open_group(run.out / ALIGNMENT)
    sizes = {name: array.size for name, array in group.arrays()}
    assert torch.equal(torch.from_numpy(run.fact("reference")), ROWS[0])
    assert max(size for name, size in sizes.items() if name != "reference") == 7
    assert sorted(path.name for path in run.out.iterdir()) == [ALIGNMENT]


def test_relabelled_copies_of_one_member_become_equal(tmp_path):
    copies = relabelled(ROWS[0], 7)
    assert not any(torch.equal(copies[0], row) for row in copies[1:])
    run = Run(tmp_path, copies)
    assert bool((run.aligned == copies[0]).all())
    assert run.summary["distance_gain"] == pytest.approx(1)


def test_the_reference_is_the_first_member_and_stays_as_it_is(run_of):
    run = run_of()
    assert torch.equal(run.aligned[0], ROWS[0])
    assert run.fact("distance_after")[0] == 0
    assert_close(torch.from_numpy(run.fact("distance_before")), (ROWS.double() - ROWS[0].double()).norm(dim=1))


@pytest.mark.parametrize("reference", ["first", "medoid", "mean"])
def test_no_member_ends_farther_from_the_reference_than_it_began(run_of, reference):
    run = run_of(reference=reference)
    before, after = run.fact("distance_before"), run.fact("distance_after")
    assert (after <= before + 1e-4).all()
    assert run.summary["distance_gain"] > 0.05
    centre = torch.from_numpy(run.fact("reference"))
    assert np.allclose(after, (run.aligned - centre).norm(dim=1).numpy(), rtol=1e-5, atol=1e-5)


def test_the_mean_is_over_aligned_training_members_only(run_of):
    first, mean = run_of(), run_of(reference="mean", mean_rounds=1)
    assert_close(torch.from_numpy(mean.fact("reference")), first.aligned[:5].mean(0), 1e-6)


def test_the_medoid_is_the_training_member_nearest_to_that_mean(run_of):
    first, medoid = run_of(), run_of(reference="medoid")
    nearest = int((first.aligned[:5] - first.aligned[:5].mean(0)).norm(dim=1).argmin())
    assert torch.equal(torch.from_numpy(medoid.fact("reference")), ROWS[nearest])
    assert torch.equal(medoid.aligned[nearest], ROWS[nearest])


@pytest.mark.parametrize("reference", ["medoid", "mean"])
def test_better_references_bring_members_closer_together(run_of, reference):
    first, other = run_of(), run_of(reference=reference)

    def spread(run):
        return float((run.aligned[:5] - run.aligned[:5].mean(0)).norm(dim=1).mean())

    untouched = float((ROWS[:5] - ROWS[:5].mean(0)).norm(dim=1).mean())
    assert spread(other) < untouched
    assert spread(other) <= spread(first) * 1.02


def test_heldout_members_do_not_move_the_others(run_of, tmp_path):
    other = ROWS.clone()
    other[5:] = relabelled(ROWS[6] * 3, 2)
    a, b = run_of(reference="mean"), Run(tmp_path, other, reference="mean")
    assert torch.equal(a.aligned[:5], b.aligned[:5])
    assert np.array_equal(a.fact("reference"), b.fact("reference"))


def test_method_none_moves_nothing(run_of):
    run = run_of(method="none")
    assert torch.equal(run.aligned, ROWS)
    assert (run.summary["largest_output_gap"], run.summary["distance_gain"]) == (0, 0)
    assert run.summary["barrier_before"] == run.summary["barrier_after"]


def test_scaling_makes_the_canonical_form_independent_of_units_scales(tmp_path):
    copies = relabelled(ROWS[0], 7)
    run = Run(tmp_path, rescaled(copies), balance_norms=True)
    spread = (run.aligned - run.aligned[0]).abs().max() / run.aligned.abs().max()
    assert float(spread) < 1e-5
    assert run.fact("distance_after").max() < 1e-4  # the reference is in canonical form, too
    plain = Run(tmp_path / "plain", rescaled(copies))
    assert float((plain.aligned - plain.aligned[0]).abs().max()) > 0.1  # the control: matching alone can't


@pytest.mark.parametrize("group", ["1", "3"])
@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_table_without_one_axis_is_found_out(tmp_path, monkeypatch, group, left_out):
    size, axes = TABLE.groups[group].size, TABLE.groups[group].axes
    wrong = Symmetry({**TABLE.groups, group: Group(size, axes[:left_out] + axes[left_out + 1 :])})
    monkeypatch.setattr(module, "derive", lambda *_: Derived(wrong, ()))
    with pytest.raises(FunctionChanged) as caught:
        Run(tmp_path, relabelled(ROWS[0], 7))
    text = str(caught.value)
    assert "member-0000" in text
    assert "member-00000" not in text  # the reference itself isn't moved
    assert f"group '{group}'" in text
    assert wrong.groups[group].axes[0].tensor in text


def test_a_wrong_scale_is_found_out(tmp_path, monkeypatch):
    wrong = Symmetry(
        {name: Group(g.size, tuple(a._replace(power=abs(a.power)) for a in g.axes)) for name, g in TABLE.groups.items()}
    )
    monkeypatch.setattr(module, "derive", lambda *_: Derived(wrong, ()))
    monkeypatch.setattr(
        form, "balance", lambda s, w: {name: torch.full((g.size,), 2.0).double() for name, g in s.groups.items()}
    )
    with pytest.raises(FunctionChanged, match=r"member-00000 .* the rescaling"):
        Run(tmp_path, ROWS, balance_norms=True)


class Killed(Exception):
    pass


@pytest.mark.parametrize("params", [{}, {"reference": "mean"}, {"balance_norms": True}], ids=str)
def test_a_killed_run_goes_on_with_the_blocks_it_has(run_of, tmp_path, monkeypatch, params):
    whole = run_of(**params)
    monkeypatch.setattr(module, "BLOCK", 2)
    matched = []

    def counted(*args):
        matched.append(1)
        return match(*args)

    monkeypatch.setitem(form.MATCHERS, "rebasin", counted)
    shares = []

    def dies_after_three_blocks(share, note):
        shares.append(share)
        if len(shares) == 3:
            raise Killed

    with pytest.raises(Killed):
        Run(tmp_path, ROWS, dies_after_three_blocks, **params)
    assert len(matched) == 6
    again = Run(tmp_path, ROWS, **params)
    once = 7 * (1 if "reference" not in params else round(len(matched) / 7))
    assert len(matched) == once  # nothing twice
    assert torch.equal(again.aligned, whole.aligned)
    digests = [open_group(run.out / ALIGNMENT).attrs["content_digest"] for run in (whole, again)]
    assert digests[0] == digests[1]
    assert not (again.out / "passes").exists()


def test_blocks_do_not_change_the_result(run_of, tmp_path, monkeypatch):
    whole = run_of(reference="mean")
    monkeypatch.setattr(module, "BLOCK", 3)
    assert torch.equal(Run(tmp_path, ROWS, reference="mean").aligned, whole.aligned)


@pytest.mark.parametrize("reference", ["first", "medoid", "mean"])
def test_progress_only_grows(tmp_path, monkeypatch, reference):
    monkeypatch.setattr(module, "BLOCK", 2)
    shares = []
    Run(tmp_path, ROWS, lambda share, note: shares.append(share), reference=reference)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5
    assert shares[-1] <= 1


def test_the_table_and_what_it_leaves_out_are_stored(run_of):
    run = run_of()
    assert read_symmetry(run.out / ALIGNMENT) == TABLE
    assert open_group(run.out / ALIGNMENT).attrs["unpermuted"] == []


def test_the_spread_is_the_root_mean_square_distance_of_pairs(run_of):
    run = run_of()
    pairs = torch.pdist(run.aligned[:5].double())
    assert run.summary["pairwise_distance"] == pytest.approx(float(pairs.square().mean().sqrt()), rel=1e-6)


def test_relabelled_copies_have_no_barrier_once_aligned(tmp_path):
    run = Run(tmp_path, relabelled(ROWS[0], 7))
    assert run.summary["barrier_after"] == pytest.approx(0, abs=1e-6)
    assert abs(run.summary["barrier_before"]) > 1e-3


@pytest.mark.parametrize("scale", [False, True])
def test_members_are_brought_back(run_of, scale):
    run = run_of(balance_norms=scale)
    for i, row in enumerate(run.aligned):
        back = LAYOUT.flatten(run.alignment.undo(TABLE, i, LAYOUT.unflatten(row)))
        assert torch.equal(back, ROWS[i]) or (scale and torch.allclose(back, ROWS[i], rtol=1e-5))
    assert not torch.equal(run.aligned[1], ROWS[1])


def test_what_was_left_unpermuted_is_said(run_of, tmp_path, monkeypatch):
    assert "left_unpermuted" not in run_of().summary
    monkeypatch.setattr(module, "derive", lambda *_: Derived(TABLE, ("cumsum: no rule",)))
    assert Run(tmp_path, ROWS).summary["left_unpermuted"] == ["cumsum: no rule"]


def unusual(name: str) -> tuple[Model, torch.Tensor]:
    """A network of `unusual_networks`, and seven rows around its initial one, which differ in the parameters."""
    network = Model(model=f"unusual_networks:{name}", input=(4,))
    module, draw = build(network), torch.Generator().manual_seed(0)
    layout = Layout.of_module(module)
    initial = layout.flatten(module.state_dict())
    noise = 0.3 * torch.randn(7, layout.parameter_layout.size, generator=draw)
    return network, initial + torch.cat([noise, torch.zeros(7, layout.buffer_layout.size)], 1)


@pytest.mark.parametrize("name", ["casting", "Masked"])
def test_networks_that_cast_or_mask_are_aligned(tmp_path, name):
    network, rows = unusual(name)
    run = Run(tmp_path, rows, network=network)
    assert run.summary["groups"] == 1
    assert run.summary["largest_output_gap"] < 1e-12
    assert run.summary["distance_gain"] > 0.02
    assert torch.equal(run.aligned[0], rows[0])
    assert not torch.equal(run.aligned, rows)


def test_a_network_with_other_outputs_each_time_is_named_as_such(tmp_path):
    network, rows = unusual("always_dropping")
    with pytest.raises(UsageError, match=r"zoo\.network gives other outputs for the same input in evaluation mode"):
        Run(tmp_path, rows, network=network)


@pytest.mark.parametrize("params", [{}, {"method": "none"}, {"reference": "mean"}, {"balance_norms": True}], ids=str)
def test_a_network_without_a_graph_is_left_as_it_is(tmp_path, monkeypatch, params):
    network, rows = unusual("branching")
    monkeypatch.setattr(module, "derive", lambda *_: Derived(Symmetry(), ("no graph",)))
    run = Run(tmp_path, rows, network=network, **params)
    assert torch.equal(run.aligned, rows)
    assert (run.summary["groups"], run.summary["largest_output_gap"]) == (0, 0)
    assert run.summary["left_unpermuted"] == ["no graph"]


def test_copies_of_other_order_and_signs_become_equal_and_are_brought_back(tmp_path):
    network, rows = unusual("sine")
    layout, draw = Layout.of_module(build(network)), torch.Generator().manual_seed(1)
    table = derive(build(network), torch.randn(2, 4)).symmetry
    copies = [random_element(table, draw).act(table, layout.unflatten(rows[0])) for _ in range(6)]
    rows = torch.stack([rows[0], *map(layout.flatten, copies)])
    run = Run(tmp_path, rows, network=network)
    assert bool((run.aligned == rows[0]).all())
    assert run.summary["largest_output_gap"] < 1e-12
    assert run.alignment.signs["first"].shape == (7, 6)
    assert set(run.alignment.signs["first"].unique().tolist()) == {-1, 1}
    for i, row in enumerate(run.aligned):
        back = layout.flatten(run.alignment.undo(table, i, layout.unflatten(row)))
        assert back.numpy().tobytes() == rows[i].numpy().tobytes()


def test_networks_without_odd_functions_have_no_signs_in_store(run_of):
    run = run_of()
    assert run.alignment.signs == {}
    assert not [name for name, _ in open_group(run.out / ALIGNMENT).members(max_depth=None) if "signs" in name]
