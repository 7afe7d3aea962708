"""The evaluation of networks from Python: the stage's own figures, on the zoo's data or the caller's."""

import pytest
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import dwf
from stages.context import Context
from stages.datasets import load_test
from stages.errors import LayoutMismatch
from stages.evaluation.metrics.novelty import distance_in_tau, max_iou
from stages.evaluation.metrics.performance import loss, score
from stages.params.dataset import Table


@pytest.fixture(scope="module")
def evaluated(run: dwf.Run) -> dwf.Evaluation:
    """The generated networks on the zoo's test data."""
    return run.evaluate()


@pytest.fixture(scope="module")
def own() -> tuple[Tensor, Tensor]:
    """Data of the caller's: some of the test data, as networks take them."""
    test = load_test(Table(name="iris"), Context.data_root)
    return test.inputs[:20], test.targets[:20]


def test_it_has_the_figures_of_the_stage(run: dwf.Run, evaluated: dwf.Evaluation):
    assert list(evaluated.figures.sets) == list(run.figures.sets)
    for name, entry in evaluated.figures.sets.items():
        for metric in (score, loss, distance_in_tau, max_iou):
            assert metric.of(entry) == metric.of(run.figures.sets[name]), (name, metric.name)
    for field in ("tau", "bar", "score", "test_examples", "verdict"):
        assert getattr(evaluated.figures, field) == getattr(run.figures, field)


def test_the_table_is_numbers_or_text(evaluated: dwf.Evaluation):
    frame, sets = evaluated.to_pandas(), evaluated.figures.sets
    summary = score.of(sets["generated"])
    assert summary
    assert frame.loc["generated", "role"] == "generated"
    assert frame.loc["held-out", "networks"] == 4
    assert frame.loc["generated", "score"] == summary.mean
    assert frame.loc["generated", "score_std"] == summary.std
    assert evaluated.table.loc["generated", "Accuracy, %"] == f"{100 * summary.mean:.2f} ± {100 * summary.std:.2f}"
    assert str(evaluated).splitlines()[-1].startswith("accurate: ")
    assert evaluated.table.loc["fresh", "Loss"] in evaluated._repr_html_()
    assert repr(evaluated).startswith("<evaluation of 8 networks: accurate: ")


def test_own_data_are_scored_as_the_modules_score_them(run: dwf.Run, own: tuple[Tensor, Tensor]):
    x, y = own
    networks = run.generated[:3]
    by_pair = run.evaluate(networks, data=own, baselines=False)
    expected = [float((network(x).argmax(1) == y).double().mean()) for network in networks]
    summary = score.of(by_pair.figures.sets["generated"])
    assert summary
    assert summary.mean == pytest.approx(sum(expected) / 3)
    assert by_pair.figures.test_examples == 20
    assert set(by_pair.figures.sets) == {"members", "held-out", "generated"}
    for data in (DataLoader(TensorDataset(x, y), batch_size=7), TensorDataset(x, y)):
        assert run.evaluate(networks, data=data, baselines=False).figures == by_pair.figures


def test_networks_of_any_origin_are_judged_and_a_relabelled_member_is_called_a_copy(run: dwf.Run, own):
    members = [member.module for member in run.members[:3]]
    found = dwf.symmetry(members[0], own[0])
    copies = [found.act(member, found.random(seed)) for seed, member in enumerate(members)]
    entry = run.evaluate(copies, data=own, baselines=False).figures.sets["generated"]
    assert distance_in_tau.of(entry) == pytest.approx(0, abs=1e-4)
    layers = [nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(2)]
    entry = run.evaluate(layers, data=own, baselines=False).figures.sets["generated"]
    assert (distance_in_tau.of(entry) or 0) > 0.5


def test_members_given_as_networks_are_copies_too(run: dwf.Run, own):
    entry = run.evaluate(run.members[:2], data=own, baselines=False).figures.sets["generated"]
    assert distance_in_tau.of(entry) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:, :3], y), r"found inputs \[20, 3\] and targets \[20\], expected \[examples, 4\]"),
        (lambda x, y: (x, y[:5]), r"found inputs \[20, 4\] and targets \[5\]"),
        (lambda x, y: (x, y + 1), "found classes 0 to 3, expected 0 to 2|found classes 1 to 3, expected 0 to 2"),
        (lambda x, y: (x, y.float()), r"found targets torch.float32 \[20\], expected int64 classes"),
        (lambda x, y: [x], r"must be batches of \(inputs, targets\)"),
        (lambda x, y: [], r"must be batches of \(inputs, targets\)"),
    ],
)
def test_data_that_don_t_fit_are_refused(run: dwf.Run, own, change, message: str):
    with pytest.raises(dwf.UsageError, match=message):
        run.evaluate(run.generated[:2], data=change(*own), baselines=False)


def test_networks_that_don_t_fit_are_refused(run: dwf.Run, own):
    with pytest.raises(dwf.UsageError, match="evaluate: found no networks"):
        run.evaluate([], data=own)
    with pytest.raises(LayoutMismatch, match=r"tensor '1\.weight' is missing"):
        run.evaluate([nn.Linear(4, 3)], data=own)
