"""Outliers: energies of ensembles, and the figures of an evaluation that is given another data set."""

import pytest
import torch
from network_sets import outputs_and_targets
from sklearn.metrics import roc_auc_score

from stages.datasets import Test
from stages.errors import UsageError
from stages.evaluation.outliers import check_outliers, energy
from stages.evaluation.results import results_of


def test_an_ensemble_s_auroc_is_that_of_its_networks_mean_energy():
    logits, targets = outputs_and_targets(regression=False)
    others = 2 * torch.randn(7, 12, 3, generator=torch.Generator().manual_seed(5)) - 1
    curve = results_of(torch.cat([logits, others], 1).split(2), targets, ensemble_sizes=(1, 7)).ensemble_curve
    energies = -torch.cat([logits, others], 1).logsumexp(-1)
    labels = [0] * 30 + [1] * 12
    alone = [roc_auc_score(labels, each) for each in energies]
    assert curve["ood_auroc"] == pytest.approx([sum(alone) / 7, roc_auc_score(labels, energies.mean(0))])


def test_outliers_change_no_other_result():
    logits, targets = outputs_and_targets(regression=False)
    with_others = results_of([torch.cat([logits, logits.flip(0)[:, :9]], 1)], targets, ensemble_sizes=(1, 2))
    without = results_of([logits], targets, ensemble_sizes=(1, 2))
    assert torch.equal(with_others.losses, without.losses)
    assert torch.equal(with_others.sketch, without.sketch)
    assert without.ensemble_curve.keys() == with_others.ensemble_curve.keys() - {"ood_auroc"}
    assert all(with_others.ensemble_curve[name] == values for name, values in without.ensemble_curve.items())


def test_the_same_examples_are_no_outliers_and_confident_ones_are_told_from_unsure_ones():
    logits, targets = outputs_and_targets(regression=False)
    same = results_of([torch.cat([logits, logits], 1)], targets, ensemble_sizes=(1, 5)).ensemble_curve
    assert same["ood_auroc"] == [0.5, 0.5]
    unsure = results_of([torch.cat([logits + 9, logits], 1)], targets, ensemble_sizes=(5,)).ensemble_curve
    assert unsure["ood_auroc"] == [1.0], "lower logits have a higher energy"
    assert float(energy(torch.zeros(1, 1, 4))) == pytest.approx(-torch.tensor(4.0).log())


def test_the_brier_score_is_between_faultless_and_sure_of_the_wrong_class():
    targets = torch.tensor([0, 1])
    sure = 50.0 * torch.eye(2)[None]
    for logits, expected in ((sure, 0.0), (sure.flip(1), 2.0), (0 * sure, 0.5)):
        assert results_of([logits], targets, ensemble_sizes=(1,)).ensemble_curve["brier"] == [pytest.approx(expected)]


def examples(*shape: int, numbers: bool = False) -> Test:
    return Test(torch.zeros(3, *shape), torch.zeros(3) if numbers else torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("test", "others", "says"),
    [
        (examples(4), examples(1, 8, 8), "svhn's inputs have shape [1, 8, 8], but the zoo's networks take [4]"),
        (examples(4, numbers=True), examples(4), "the zoo's networks predict numbers"),
    ],
)
def test_networks_that_cannot_be_given_the_outliers_are_told_so(test: Test, others: Test, says: str):
    with pytest.raises(UsageError) as error:
        check_outliers("svhn", test, others)
    assert says in str(error.value)
    assert str(error.value).startswith("evaluate.ood: ")


def test_outliers_of_the_right_shape_are_taken():
    check_outliers("svhn", examples(4), examples(4))
