"""Ensembles of every size, against a loop over groups."""

import pytest
import torch
from torch.nn import functional as F

from stages.evaluation.ensemble import Ensembles
from stages.evaluation.outcome import outcome
from stages.evaluation.performance import calibration_error


def task(networks: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(networks, 30, 3, generator=g), torch.randint(3, (30,), generator=g)


@pytest.mark.parametrize("block", [1, 2, 7])
def test_the_curve_is_the_mean_over_groups_in_a_row(block):
    logits, targets = task()
    curve = outcome(logits.split(block), targets, sizes=(1, 3, 7, 8)).curve
    assert curve["sizes"] == [1, 3, 7], "eight networks aren't there"
    for i, size in enumerate((1, 3, 7)):
        groups = [logits[s : s + size].softmax(-1).mean(0) for s in range(0, 7 - size + 1, size)]
        right = [(p.argmax(-1) == targets).double().mean().item() for p in groups]
        loss = [F.nll_loss(p.log(), targets).item() for p in groups]
        ece = [calibration_error(p.amax(-1)[None], (p.argmax(-1) != targets)[None]).item() for p in groups]
        for name, values in (("score", right), ("loss", loss), ("ece", ece)):
            assert curve[name][i] == pytest.approx(sum(values) / len(values), abs=1e-5)


def test_the_whole_set_is_its_largest_ensemble():
    logits, targets = task()
    found = outcome([logits], targets, sizes=(7,))
    assert found.curve["score"] == [found.ensemble]
    assert outcome([logits], targets).curve == {"sizes": []}


def test_numbers_are_averaged():
    g = torch.Generator().manual_seed(0)
    predictions, targets = torch.randn(4, 20, generator=g), torch.randn(20, generator=g)
    curve = outcome([predictions], targets, sizes=(4,)).curve
    assert curve["loss"] == [pytest.approx(float(F.mse_loss(predictions.mean(0), targets)), rel=1e-5)]
    assert "ece" not in curve


def test_groups_do_not_overlap_and_the_rest_is_left_out():
    seen = []
    ensembles = Ensembles((2,), lambda means: seen.extend(means.tolist()) or {"score": torch.zeros(len(means))})
    ensembles.add(torch.tensor([[0.0], [2.0], [10.0]]))
    ensembles.add(torch.tensor([[20.0], [99.0]]))
    assert seen == [[1.0], [15.0]]
