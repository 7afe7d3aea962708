"""When a fit has stalled, and that a checkpoint holds all of it."""

from pathlib import Path

import pytest
import torch
from crash_recorder import recorded
from crash_states import History, crash_states
from torch import nn
from torch.optim.swa_utils import AveragedModel

from stages.flow_training.checkpoint import TrainState, moving_average
from stages.flow_training.optimizer import optimizers
from stages.params.fit import Muon


def state(heldout: list[float]) -> TrainState:
    model = nn.Linear(2, 2)
    curves = [[10.0 * i, 1.0, loss, 1.0] for i, loss in enumerate(heldout, 1)]
    return TrainState(model, AveragedModel(model), optimizers(model, Muon()), len(heldout), curves)


def _train(state: TrainState) -> None:
    state.model.zero_grad()
    state.model(torch.tensor([[1.0, -2.0]])).square().sum().backward()
    for optimizer in state.optimizers:
        optimizer.step()


@pytest.mark.parametrize(
    ("heldout", "patience", "stalled"),
    [
        ([3, 2, 1], 1, False),
        ([1, 2], 1, True),
        ([1, 2], 2, False),
        ([2, 1, 3, 3], 2, True),
        ([1, 2, 3], None, False),
        ([], 1, False),
        ([2, 3, 1], 2, False),
    ],
)
def test_a_fit_has_stalled_once_enough_checks_brought_nothing(heldout, patience, stalled):
    assert state(heldout).stalled(patience) == stalled


def test_the_summary_tells_the_last_and_the_lowest():
    summary = state([3.0, 1.0, 2.0]).summary()
    assert (summary["step"], summary["heldout_loss"]) == (30, 2.0)
    assert (summary["lowest_heldout_step"], summary["lowest_heldout_loss"]) == (20, 1.0)


def test_a_checkpoint_brings_everything_back(tmp_path: Path):
    one, other = state([3.0, 1.0]), state([])
    one.samples, one.best = [[10.0, 0.9, 0.1, 1.0, 0.5]], one.weights()
    _train(one)
    one.save(tmp_path / "checkpoint.pt")
    other.load(tmp_path / "checkpoint.pt", torch.device("cpu"))
    for name in ("step", "curves", "samples"):
        assert getattr(one, name) == getattr(other, name)
    for a, b in ((one.weights(), other.weights()), (one.best, other.best)):
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert torch.equal(one.model.weight, other.model.weight)  # type: ignore[arg-type]
    _train(one)
    _train(other)  # the optimizers' moments came back too
    assert torch.equal(one.model.weight, other.model.weight)  # type: ignore[arg-type]
    assert torch.equal(one.model.bias, other.model.bias)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_power_cut_leaves_a_whole_checkpoint_or_none(tmp_path: Path):
    first, second = state([3.0]), state([3.0, 2.0])
    with recorded(tmp_path) as record:
        for one in (first, second):
            one.save(tmp_path / "checkpoint.pt")
            record.done(f"step {one.step}")
    files = {held for crash in crash_states(record) if (held := crash.tree.get("checkpoint.pt")) is not None}
    assert len(files) == 2
    for number, held in enumerate(files):
        (tmp_path / f"{number}.pt").write_bytes(held)
        (other := state([])).load(tmp_path / f"{number}.pt", torch.device("cpu"))
        assert other.step in (1, 2)
    reported = [crash for crash in crash_states(record) if History(record).finished(crash)]
    assert all(crash.tree.get("checkpoint.pt") in files for crash in reported), "one that was written is kept"


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_average_forgets_its_start_and_then_moves_by_its_decay(decay: float):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, -100.0)  # where it begins
    average = AveragedModel(model, multi_avg_fn=moving_average(decay))
    expected = 0.0
    for count in range(60):
        nn.init.constant_(model.weight, float(count))
        average.update_parameters(model)
        kept = min(decay, (1 + count) / (10 + count)) if count else 0.0
        expected = kept * expected + (1 - kept) * count
    assert next(average.module.parameters()).item() == pytest.approx(expected, rel=1e-4)
