"""Every figure against a brute-force or closed-form value."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch.nn import functional as F

from stages.canonical.form import Aligner
from stages.evaluation import baselines, collapse, novelty, performance
from stages.evaluation.aligned_distance import Quotient
from stages.evaluation.metrics import FIGURES, OF_WEIGHTS, Subject, Yardstick, measure, per_network, summary
from stages.evaluation.outcome import outcome
from stages.evaluation.verdict import verdict
from stages.reporting.wording import SCORES
from stages.store.layout import Layout
from stages.symmetry.table import Symmetry

seeds = st.integers(0, 10_000)


def masks(seed: int, networks: int = 5, examples: int = 12) -> torch.Tensor:
    return torch.rand(networks, examples, generator=torch.Generator().manual_seed(seed)) < 0.3


def iou(a: torch.Tensor, b: torch.Tensor) -> float:
    one, two = set(a.nonzero().flatten().tolist()), set(b.nonzero().flatten().tolist())
    return len(one & two) / len(one | two) if one | two else 1.0


@given(seeds, seeds)
def test_iou_equals_set_arithmetic(a: int, b: int):
    networks, members = masks(a), masks(b, 4)
    expected = [max(iou(n, m) for m in members) for n in networks]
    assert novelty.ious(networks, members).amax(1).tolist() == pytest.approx(expected)
    mean = [sum(iou(n, m) for m in members) / 4 for n in networks]
    assert novelty.ious(networks, members).mean(1).tolist() == pytest.approx(mean)


@given(seeds)
def test_members_are_compared_with_the_others_only(seed: int):
    members = masks(seed)
    expected = [[iou(m, o) for j, o in enumerate(members) if j != i] for i, m in enumerate(members)]
    found = novelty.ious(members, members, torch.arange(5))
    assert found.amax(1).tolist() == pytest.approx([max(line) for line in expected])
    assert found.mean(1).tolist() == pytest.approx([sum(line) / len(line) for line in expected])
    assert (novelty.ious(members, members).amax(1) == 1).all(), "with themselves they are copies"


def test_overlaps_are_the_same_a_few_networks_at_a_time(monkeypatch):
    members, own = masks(0, 7), torch.tensor([1, 2, 3, 6])
    monkeypatch.setattr(novelty, "BLOCK", 3)
    for mistakes, where in ((masks(1), None), (members[own], own)):
        every = novelty.ious(mistakes, members, where)
        found = novelty.overlap(mistakes, members, where)
        assert torch.equal(found.largest, every.amax(1))
        assert torch.equal(found.mean, every.mean(1))
    assert (novelty.overlap(members[own], members).largest == 1).all(), "with themselves they are copies"


def test_some_members_are_compared_with_all_others():
    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    some = torch.tensor([2, 5, 8])
    all_of_them, few = (novelty.nearest(rows[which], rows, which) for which in (torch.arange(9), some))
    assert torch.equal(few[0], all_of_them[0][some])
    assert torch.equal(few[1], all_of_them[1][some])


@given(seeds)
def test_the_nearest_member_is_the_nearest(seed: int):
    g = torch.Generator().manual_seed(seed)
    rows, members = torch.randn(6, 7, generator=g), torch.randn(4, 7, generator=g)
    distance, index = novelty.nearest(rows, members)
    for i, row in enumerate(rows):
        each = [math.dist(row.tolist(), member.tolist()) for member in members]
        assert float(distance[i]) == pytest.approx(min(each))
        assert int(index[i]) == each.index(min(each))


def test_leave_one_out_distances_skip_oneself_across_blocks():
    rows = torch.arange(600.0)[:, None] * torch.ones(1, 4)
    distance, index = novelty.nearest(rows, rows, torch.arange(600))
    assert torch.allclose(distance, torch.full((600,), 2.0, dtype=torch.float64))
    assert (index != torch.arange(600)).all()


def test_novel_and_performant_counts_what_is_above_the_bar_and_far_enough():
    accuracy, distance = torch.tensor([0.9, 0.8, 0.95, 0.95]), torch.tensor([3.0, 3.0, 1.0, 0.4])
    shares = novelty.novel_and_performant(accuracy, distance, bar=0.9, tau=2.0, margins=(0.25, 1.0))
    assert shares == {"0.25": 0.5, "1.0": 0.25}


@given(seeds)
def test_performance_equals_torch(seed: int):
    g = torch.Generator().manual_seed(seed)
    logits, targets = torch.randn(3, 9, 4, generator=g), torch.randint(4, (9,), generator=g)
    expected = [float(F.cross_entropy(one.double(), targets)) for one in logits]
    found = performance.negative_log_likelihood(logits.log_softmax(-1), targets)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    right = [(one.argmax(1) == targets).double().mean().item() for one in logits]
    assert performance.accuracy(performance.wrong(logits, targets)).tolist() == pytest.approx(right)


@given(seeds)
def test_the_calibration_error_is_the_gap_in_each_bin(seed: int):
    g = torch.Generator().manual_seed(seed)
    logits, targets = 2 * torch.randn(3, 40, 4, generator=g), torch.randint(4, (40,), generator=g)
    confidence, wrong = logits.softmax(-1).amax(-1), performance.wrong(logits, targets)
    for i, found in enumerate(performance.calibration_error(confidence, wrong).tolist()):
        total = 0.0
        for b in range(15):
            inside = (confidence[i] > b / 15) & (confidence[i] <= (b + 1) / 15)
            if n := int(inside.sum()):
                total += n / 40 * abs(float(confidence[i][inside].mean() - (~wrong[i][inside]).float().mean()))
        assert found == pytest.approx(total, abs=1e-6)


def test_sure_and_always_right_is_calibrated_and_sure_and_always_wrong_is_not():
    sure, wrong = torch.ones(2, 8), torch.stack([torch.zeros(8), torch.ones(8)]).bool()
    assert performance.calibration_error(sure, wrong).tolist() == [0.0, 1.0]


@given(seeds)
def test_accuracy_by_class_is_that_of_its_examples(seed: int):
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 2, 0, 1, 2, 2, 2])
    mistakes = masks(seed)
    found = performance.per_class(mistakes, targets, 3)
    for i, one in enumerate(mistakes):
        assert found[i].tolist() == pytest.approx([1 - float(one[targets == c].float().mean()) for c in range(3)])


def test_an_ensemble_votes_with_probabilities():
    confident, unsure = [[4.0, 0.0]], [[0.0, 0.1]]
    logits = torch.tensor([confident, unsure, unsure])
    target = torch.tensor([0])
    assert outcome([logits], target).ensemble == 1.0, "one sure network outweighs two unsure ones"
    assert outcome([logits[1:]], target).ensemble == 0.0


def of_task(regression: bool, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    if regression:
        return torch.randn(7, 30, generator=g), torch.randn(30, generator=g)
    return torch.randn(7, 30, 3, generator=g), torch.randint(3, (30,), generator=g)


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("block", [1, 3])
def test_blocks_of_networks_change_no_outcome(regression, block):
    outputs, targets = of_task(regression)
    whole, parts = outcome([outputs], targets), outcome(outputs.split(block), targets)
    assert torch.allclose(whole.scores, parts.scores)
    assert torch.allclose(whole.losses, parts.losses)
    assert torch.equal(whole.errors, parts.errors)
    assert whole.ensemble == pytest.approx(parts.ensemble)
    assert all(torch.allclose(whole.further[name], parts.further[name]) for name in whole.further)


def test_a_regression_s_figures_are_sklearn_s_and_scipy_s():
    outputs, targets = of_task(True)
    found = outcome([outputs], targets)
    for i, one in enumerate(outputs):
        assert float(found.scores[i]) == pytest.approx(spearmanr(one, targets).statistic)
        assert float(found.further["r2"][i]) == pytest.approx(r2_score(targets, one), rel=1e-5)
        assert float(found.further["mae"][i]) == pytest.approx(mean_absolute_error(targets, one), rel=1e-5)
        assert float(found.losses[i]) == pytest.approx(mean_squared_error(targets, one), rel=1e-5)
    assert found.ensemble == pytest.approx(spearmanr(outputs.mean(0), targets).statistic)


def test_of_numbers_the_members_are_wrong_on_half_of_the_examples():
    outputs, targets = of_task(True)
    y = Yardstick(plain(torch.randn(7, 4)), same, (1.0,), outcome([outputs], targets), 0.5)
    assert float(y.mistakes(y.outcome).float().mean()) == pytest.approx(0.5, abs=0.01)
    far = outcome([outputs + 100], targets)
    assert bool(y.mistakes(far).all())


@pytest.mark.parametrize("regression", [False, True])
def test_outputs_that_overflowed_give_finite_figures(regression):
    outputs, targets = of_task(regression)
    outputs[0] = float("nan")
    outputs[1] = float("inf")
    outputs[2, ::2] = float("-inf")
    found = outcome([outputs], targets)
    assert bool(torch.isfinite(found.losses).all() & torch.isfinite(found.scores).all())


def test_noise_is_relative_to_each_tensors_spread():
    members = torch.zeros(3, 4000)
    spread = torch.cat([torch.full((2000,), 0.1), torch.full((2000,), 2.0)])
    rows = baselines.noise(members, spread, 0.5, 50, torch.Generator().manual_seed(0))
    assert float(rows[:, :2000].std()) == pytest.approx(0.05, rel=0.02)
    assert float(rows[:, 2000:].std()) == pytest.approx(1.0, rel=0.02)


def test_interpolations_lie_between_two_different_members():
    members = torch.eye(6) * 3
    for row in baselines.interpolation(members, 0.25, 40, torch.Generator().manual_seed(0)):
        assert sorted(row[row != 0].tolist()) == pytest.approx([0.75, 2.25])


def test_a_soup_is_the_mean_of_different_members_and_all_of_them_give_the_mean():
    members = torch.eye(6)
    soups = baselines.soup(members, 3, 20, torch.Generator().manual_seed(0))
    assert torch.allclose(soups.sum(1), torch.ones(20))
    assert ((soups > 0).sum(1) == 3).all()
    assert torch.allclose(baselines.soup(members, 6, 1, torch.Generator().manual_seed(0))[0], members.mean(0))


def test_retrieval_gives_members_back():
    members = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(baselines.retrieval(members.flip(0) + 0.01, members), members.flip(0))


def test_the_gaussian_null_has_the_members_moments_in_every_code():
    codes = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.2]) + 2
    drawn = baselines.gaussian(codes, lambda z: z, 20_000, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.15)
    assert torch.allclose(drawn.std(0), codes.std(0), rtol=0.05)


def test_dispersion_is_the_factor_by_which_codes_are_spread():
    codes = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    shrunk = codes.mean(0) + 0.3 * (codes - codes.mean(0))
    assert collapse.dispersion(codes, codes) == pytest.approx(1)
    assert collapse.dispersion(shrunk, codes) == pytest.approx(0.3, rel=1e-5)
    one = shrunk.clone()
    one[:, 1:] = codes[:, 1:]
    assert collapse.dispersion_by_direction(one, codes).tolist() == pytest.approx([0.3, 1, 1], rel=1e-4)


def test_duplicates_are_counted_once_each():
    rows = torch.tensor([[0.0], [0.0], [1.0], [0.0]])
    assert collapse.duplicates(torch.cdist(rows, rows), 1e-6) == 2


def test_a_summary_holds_mean_spread_extremes_and_quantiles():
    s = summary(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert (s["mean"], s["min"], s["max"], s["p50"]) == (2.5, 1.0, 4.0, 2.5)
    assert s["std"] == pytest.approx(math.sqrt(1.25))


def same(rows: torch.Tensor) -> torch.Tensor:
    return rows


def plain(members: torch.Tensor) -> Quotient:
    """Distances of rows in which nothing can be relabelled."""
    layout = Layout.of({"weight": members[0]})
    aligner = Aligner(Symmetry(), "rebasin", streams=True, max_sweeps=10)
    return Quotient(members, layout, aligner, members[0], torch.ones(members.shape[1]), near=2)


def subject(role: str = "generated", data: bool = True) -> Subject:
    g = torch.Generator().manual_seed(3)
    members, targets = torch.randn(6, 5, generator=g), torch.randint(3, (20,), generator=g)
    outputs = [torch.randn(n, 20, 3, generator=g) for n in (6, 4)]
    done = [outcome([some], targets, sizes=(1, 2)) if data else None for some in outputs]
    held = (torch.randn(4, 5, generator=g), done[1])
    yardstick = Yardstick(plain(members), same, (0.5, 1.0), done[0], 0.5 if data else None, held)
    if role == "members":
        return Subject(role, None, members, done[0], yardstick)
    return Subject(role, None, torch.randn(4, 5, generator=g), done[1], yardstick, done[1])


def test_without_data_only_weights_are_measured():
    found = measure(subject(data=False))
    assert set(found) == {"role", "family", "networks", *(figure.__name__ for figure in OF_WEIGHTS)}
    assert set(found["two_sample"]) == {"weights", "mmd"}
    assert set(per_network(subject(data=False))) == {"distance_in_tau", "nearest_member"}


def test_copied_statistics_are_told_where_there_are_any():
    assert measure(subject())["with_reference_statistics"]["mean"] == measure(subject())["score"]["mean"]
    assert "with_reference_statistics" not in measure(subject("members"))


def test_every_figure_is_reported_under_its_name():
    figures = measure(subject())
    assert {figure.__name__ for figure in FIGURES} <= set(figures)
    assert all(len(values) == 4 for values in per_network(subject()).values())


def test_members_are_never_their_own_nearest_member():
    found = measure(subject("members"))
    assert min(found[name]["min"] for name in ("distance", "distance_quotient", "distance_normalised")) > 0
    assert found["distance_in_tau"] == pytest.approx(1)
    assert found["wasserstein"] == found["jensen_shannon"] == 0


def test_a_baseline_is_not_asked_whether_it_is_a_held_out_member():
    found = subject()
    baseline = Subject("baseline", "noise", found.rows, found.outcome, found.yardstick)
    assert not {"two_sample", "dispersion_by_direction"} & set(measure(baseline))


def test_a_regression_has_no_classes_and_no_calibration():
    outputs, targets = of_task(True)
    done = outcome([outputs], targets)
    found = measure(
        Subject("members", None, torch.randn(7, 4), done, Yardstick(plain(torch.randn(7, 4)), same, (1.0,), done, 0.1))
    )
    assert not {"ece", "per_class"} & set(found)
    assert set(found["further"]) == {"r2", "mae"}


@given(seeds)
def test_samples_of_distances_that_are_moved_differ_by_the_move(seed: int):
    values = torch.rand(30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert novelty.wasserstein(values + 0.7, values) == pytest.approx(0.7)
    assert novelty.jensen_shannon(values, values) == 0
    assert novelty.jensen_shannon(values + 2, values) == pytest.approx(1), "nothing in common"
    assert novelty.jensen_shannon(values[:1], values[:1]) == 0


def test_half_of_the_mass_elsewhere_has_a_known_jensen_shannon_distance():
    here, half = torch.zeros(4), torch.tensor([0.0, 0.0, 1.0, 1.0])
    divergence = (math.log2(1 / 0.75) + 0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25)) / 2
    assert novelty.jensen_shannon(half, here) == pytest.approx(math.sqrt(divergence))


def planted(**generated: object) -> dict[str, dict[str, object]]:
    def one(role: str, accuracy: float, distance: float, overlap: float, family: str = "") -> dict[str, object]:
        return {
            "role": role,
            "family": family,
            "networks": 100,
            "score": {"mean": accuracy, "std": 0.005},
            "distance_in_tau": distance,
            "max_iou": {"mean": overlap},
        }

    sets = {
        "members": one("members", 0.96, 1.0, 0.5),
        "held-out": one("held-out", 0.96, 1.0, 0.5),
        "noise 0.1": one("baseline", 0.955, 0.3, 0.8, "noise"),
        "soup 2": one("baseline", 0.85, 0.8, 0.6, "soup"),
    }
    return {**sets, "generated": one("generated", **generated)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("generated", "answers"),
    [
        ({"accuracy": 0.96, "distance": 0.0, "overlap": 1.0}, (True, False, False)),  # copies: accurate, never new
        ({"accuracy": 0.957, "distance": 0.15, "overlap": 0.9}, (True, False, False)),  # noise is as good half way
        ({"accuracy": 0.954, "distance": 0.3, "overlap": 0.8}, (False, False, False)),  # no better than noise
        ({"accuracy": 0.9553, "distance": 0.3, "overlap": 0.8}, (True, False, False)),  # ahead by less than the error
        ({"accuracy": 0.96, "distance": 1.0, "overlap": 0.5}, (True, True, True)),  # held-out members themselves
        ({"accuracy": 0.30, "distance": 3.0, "overlap": 0.1}, (False, True, True)),  # fresh networks
    ],
)
def test_the_verdict_tells_copies_noise_and_held_out_members_apart(generated, answers):
    found = verdict(planted(**generated))
    assert (found["accurate"], found["new"], found["better_than_baselines"]) == answers
    assert "tau" in found["text"]
    assert ("copies" in found["text"]) == (generated["distance"] == 0)


def told_apart(low: float, high: float) -> dict[str, object]:
    return {
        "weights": {"auc": (low + high) / 2, "low": low, "high": high},
        "outputs": {"auc": 0.5, "low": 0.4, "high": 0.6},
    }


def test_what_no_classifier_tells_from_held_out_members_is_indistinguishable():
    sets = planted(accuracy=0.96, distance=1.0, overlap=0.5)
    assert verdict(sets)["indistinguishable"] is None
    sets["generated"]["two_sample"] = told_apart(0.45, 0.6)
    assert verdict(sets)["indistinguishable"] is True
    assert "indistinguishable" in verdict(sets)["text"]
    sets["generated"]["two_sample"] = told_apart(0.55, 0.7)
    assert verdict(sets)["indistinguishable"] is False
    assert "indistinguishable" not in verdict(sets)["text"]


def test_without_data_the_verdict_judges_the_distance_alone():
    sets = planted(accuracy=0.3, distance=1.0, overlap=1.0)
    bare = {n: {k: v for k, v in s.items() if k not in ("score", "max_iou")} for n, s in sets.items()}
    found = verdict(bare)
    assert (found["accurate"], found["new"], found["better_than_baselines"]) == (None, True, None)
    assert "can't be judged" in found["text"]


def test_the_verdict_on_a_regression_says_spearman():
    text = verdict(planted(accuracy=0.8, distance=1.0, overlap=0.5), SCORES["spearman"])["text"]
    assert "Spearman correlation 0.8000 against 0.9600" in text
    assert "%" not in text


def test_a_class_without_examples_has_no_accuracy():
    logits, targets = torch.randn(7, 6, 4), torch.tensor([0, 1, 3, 3, 1, 0])
    done = outcome([logits], targets)
    found = measure(
        Subject("members", None, torch.randn(7, 4), done, Yardstick(plain(torch.randn(7, 4)), same, (1.0,), done, 0.0))
    )
    assert [share is None for share in found["per_class"]] == [False, False, True, False]
    json.dumps(found, allow_nan=False)
