"""Results of networks on test data, against brute force, torch, scikit-learn and SciPy."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_sets import outputs_and_targets
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch.nn import functional as F

from stages.evaluation.results import Ensembles, calibration_error, class_accuracy, class_quantities, results_of

seeds = st.integers(0, 10_000)


@given(seeds)
def test_performance_equals_torch(seed: int):
    g = torch.Generator().manual_seed(seed)
    logits, targets = torch.randn(3, 9, 4, generator=g), torch.randint(4, (9,), generator=g)
    expected = [float(F.cross_entropy(network.double(), targets)) for network in logits]
    quantities = class_quantities(logits.log_softmax(-1), targets)
    assert quantities["losses"].tolist() == pytest.approx(expected, rel=1e-5)
    right = [(network.argmax(1) == targets).double().mean().item() for network in logits]
    assert quantities["scores"].tolist() == pytest.approx(right)


@given(seeds)
def test_the_calibration_error_is_the_gap_in_each_bin(seed: int):
    g = torch.Generator().manual_seed(seed)
    logits, targets = 2 * torch.randn(3, 40, 4, generator=g), torch.randint(4, (40,), generator=g)
    confidence, wrong = logits.softmax(-1).amax(-1), logits.argmax(-1) != targets
    for i, error in enumerate(calibration_error(confidence, wrong).tolist()):
        total = 0.0
        for b in range(15):
            inside = (confidence[i] > b / 15) & (confidence[i] <= (b + 1) / 15)
            if n := int(inside.sum()):
                total += n / 40 * abs(float(confidence[i][inside].mean() - (~wrong[i][inside]).float().mean()))
        assert error == pytest.approx(total, abs=1e-6)


def test_sure_and_always_right_is_calibrated_and_sure_and_always_wrong_is_not():
    sure, wrong = torch.ones(2, 8), torch.stack([torch.zeros(8), torch.ones(8)]).bool()
    assert calibration_error(sure, wrong).tolist() == [0.0, 1.0]


@given(seeds)
def test_accuracy_by_class_is_that_of_its_examples(seed: int):
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 2, 0, 1, 2, 2, 2])
    mistakes = torch.rand(5, 12, generator=torch.Generator().manual_seed(seed)) < 0.3
    accuracy = class_accuracy(mistakes, targets, 3)
    for i, mask in enumerate(mistakes):
        assert accuracy[i].tolist() == pytest.approx([1 - float(mask[targets == c].float().mean()) for c in range(3)])


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("block", [1, 3])
def test_blocks_of_networks_change_no_result(regression, block):
    outputs, targets = outputs_and_targets(regression)
    whole, parts = results_of([outputs], targets), results_of(outputs.split(block), targets)
    assert torch.allclose(whole.scores, parts.scores)
    assert torch.allclose(whole.losses, parts.losses)
    assert torch.equal(whole.errors, parts.errors)
    assert whole.ensemble_score == pytest.approx(parts.ensemble_score)
    assert all(torch.allclose(whole.further[name], parts.further[name]) for name in whole.further)


def test_a_regression_s_results_are_sklearn_s_and_scipy_s():
    outputs, targets = outputs_and_targets(regression=True)
    results = results_of([outputs], targets)
    for i, predictions in enumerate(outputs):
        assert float(results.scores[i]) == pytest.approx(spearmanr(predictions, targets).statistic)
        assert float(results.further["r2"][i]) == pytest.approx(r2_score(targets, predictions), rel=1e-5)
        assert float(results.further["mae"][i]) == pytest.approx(mean_absolute_error(targets, predictions), rel=1e-5)
        assert float(results.losses[i]) == pytest.approx(mean_squared_error(targets, predictions), rel=1e-5)
    assert results.ensemble_score == pytest.approx(spearmanr(outputs.mean(0), targets).statistic)


@pytest.mark.parametrize("regression", [False, True])
def test_outputs_that_overflowed_give_finite_results(regression):
    outputs, targets = outputs_and_targets(regression)
    outputs[0] = float("nan")
    outputs[1] = float("inf")
    outputs[2, ::2] = float("-inf")
    results = results_of([outputs], targets)
    assert bool(torch.isfinite(results.losses).all() & torch.isfinite(results.scores).all())


def test_an_ensemble_votes_with_probabilities():
    confident, unsure = [[4.0, 0.0]], [[0.0, 0.1]]
    logits = torch.tensor([confident, unsure, unsure])
    target = torch.tensor([0])
    assert results_of([logits], target).ensemble_score == 1.0, "one sure network outweighs two unsure ones"
    assert results_of([logits[1:]], target).ensemble_score == 0.0


@pytest.mark.parametrize("block", [1, 2, 7])
def test_the_curve_is_the_mean_over_groups_in_a_row(block):
    logits, targets = outputs_and_targets(regression=False)
    curve = results_of(logits.split(block), targets, ensemble_sizes=(1, 3, 7, 8)).ensemble_curve
    assert curve["sizes"] == [1, 3, 7], "eight networks aren't there"
    for i, size in enumerate((1, 3, 7)):
        groups = [logits[s : s + size].softmax(-1).mean(0) for s in range(0, 7 - size + 1, size)]
        right = [(p.argmax(-1) == targets).double().mean().item() for p in groups]
        loss = [F.nll_loss(p.log(), targets).item() for p in groups]
        ece = [calibration_error(p.amax(-1)[None], (p.argmax(-1) != targets)[None]).item() for p in groups]
        for name, values in (("score", right), ("loss", loss), ("ece", ece)):
            assert curve[name][i] == pytest.approx(sum(values) / len(values), abs=1e-5)


def test_the_whole_set_is_its_largest_ensemble():
    logits, targets = outputs_and_targets(regression=False)
    results = results_of([logits], targets, ensemble_sizes=(7,))
    assert results.ensemble_curve["score"] == [results.ensemble_score]
    assert results_of([logits], targets).ensemble_curve == {"sizes": []}


def test_numbers_are_averaged():
    g = torch.Generator().manual_seed(0)
    predictions, targets = torch.randn(4, 20, generator=g), torch.randn(20, generator=g)
    curve = results_of([predictions], targets, ensemble_sizes=(4,)).ensemble_curve
    assert curve["loss"] == [pytest.approx(float(F.mse_loss(predictions.mean(0), targets)), rel=1e-5)]
    assert "ece" not in curve


def test_groups_do_not_overlap_and_the_rest_is_left_out():
    seen = []
    ensembles = Ensembles((2,), lambda means: seen.extend(means.tolist()) or {"score": torch.zeros(len(means))})
    ensembles.add(torch.tensor([[0.0], [2.0], [10.0]]))
    ensembles.add(torch.tensor([[20.0], [99.0]]))
    assert seen == [[1.0], [15.0]]


def test_targets_that_are_all_the_same_have_no_variance_to_explain():
    predictions = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    same, others = (results_of([predictions], targets) for targets in (torch.full((8,), 0.5), torch.arange(8) / 8))
    assert "r2" not in same.further
    assert "r2" in others.further
    assert same.scores.tolist() == [0, 0, 0]
