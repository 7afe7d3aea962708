"""Definitions in words, against what is computed: the report calls things what they are."""

import re
from dataclasses import replace

import pytest
import torch
from figure_builders import figures_of
from network_sets import member_reference, members_with, network_set, outputs_and_targets

from stages.canonical.form import Aligner, CanonicalForm
from stages.evaluation.aligned_distance import AlignedDistance
from stages.evaluation.baselines import BASELINES
from stages.evaluation.figures import Verdict
from stages.evaluation.metric import Metric
from stages.evaluation.metrics import COLUMNS, METRICS, novelty, spread, two_sample
from stages.evaluation.network_set import NetworkSet
from stages.evaluation.results import results_of
from stages.evaluation.verdict import ALIKE, COPIED, FAR
from stages.params.evaluate import EvaluateParams
from stages.reporting import definitions
from stages.reporting.plots import PLOTS
from stages.store.layout import Layout
from stages.symmetry.table import Axis, Group, Symmetry

UNITS = 6
LAYOUT = Layout.of({"in.weight": torch.zeros(UNITS, 2), "out.weight": torch.zeros(1, UNITS)})
TABLE = Symmetry({"units": Group(UNITS, (Axis("in.weight", 0, 1), Axis("out.weight", 1, -1)))})


def distances(members: torch.Tensor, nearby: int) -> AlignedDistance:
    form = CanonicalForm(Aligner(TABLE, "rebasin", streams=True, max_sweeps=20), LAYOUT, balance_norms=False)
    return AlignedDistance(members, form, members[0], torch.ones(LAYOUT.size), nearby)


def relabelled_pairs() -> torch.Tensor:
    """Three networks, each beside almost itself with its units in another order."""
    rows = torch.randn(3, LAYOUT.size, generator=torch.Generator().manual_seed(0))
    moved = {"units": torch.arange(UNITS).roll(1)}
    others = [LAYOUT.flatten(TABLE.act(moved, LAYOUT.unflatten(row))) for row in rows]
    return torch.cat([rows, torch.stack(others) + 1e-5])


@pytest.mark.parametrize("nearby", [0, 3])
def test_tau_is_said_to_be_aligned_where_it_is(nearby: int):
    members = relabelled_pairs()
    reference = member_reference(members, None)
    tau = replace(reference, distance=distances(members, nearby)).tau
    text = definitions.tau(figures_of({}, tau=tau, relabelled=nearby > 0))
    assert (tau < 1e-3) is (nearby > 0), "every network has a relabelled twin"
    assert ("with units relabelled to fit" in text) is (nearby > 0)
    assert ("L2 as the rows are" in text) is (nearby == 0)


def test_distance_as_is_and_aligned_distance_are_two_columns_with_names_of_their_own():
    headings = [metric.heading for metric in COLUMNS]
    assert "Distance as is" in headings
    assert "Aligned distance" in headings
    assert len(set(headings)) == len(headings)
    assert novelty.distance_in_tau.meaning.startswith("aligned, ")


def test_two_networks_without_mistakes_have_a_max_iou_of_1_and_are_no_copies():
    outputs, targets = outputs_and_targets(regression=False)
    faultless = (
        torch.nn.functional.one_hot(targets, 3).float().expand(2, -1, -1) * torch.tensor([5.0, 9.0])[:, None, None]
    )
    overlap = novelty.max_iou.function(members_with(results_of([faultless], targets)))
    assert overlap.tolist() == [1, 1]
    assert float(novelty.max_iou.function(members_with(results_of([outputs], targets))).max()) < 1


def test_held_out_networks_of_the_same_distribution_have_a_dispersion_above_1_where_members_have_none():
    """Directions are fitted to members: along those in which a few happen to vary little, others vary more."""
    g = torch.Generator().manual_seed(0)
    members, others = torch.randn(12, 10, generator=g), torch.randn(200, 10, generator=g)
    centred = members - members.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    whitened = [(rows - members.mean(0)) @ directions.T / values * 12**0.5 for rows in (others, members)]
    assert spread.relative_spread(*whitened) > 1.3
    assert float(spread.spread_by_direction(*whitened)[-1]) > 2
    assert float(spread.relative_spread(whitened[1], whitened[1])) == 1


def test_the_share_reaches_the_bar_and_is_farther_than_tau():
    """A score at the bar counts, a distance of 1 tau doesn't."""
    networks = network_set()
    at_bar = replace(networks.reference, bar=float(networks.outcome.scores.max()))
    shares = novelty.novel_and_performant.function(replace(networks, reference=at_bar))
    far = networks.nearest.distance > 0.5 * networks.reference.tau
    assert (
        shares["0.5"] == float((far & (networks.outcome.scores == networks.outcome.scores.max())).double().mean()) > 0
    )
    assert novelty.novel_and_performant_shares(torch.tensor([True]), torch.tensor([2.0]), 2.0, (1.0,)) == {"1.0": 0}


def test_relabelled_twins_are_no_duplicates_as_the_rows_are():
    rows = relabelled_pairs()
    reference = replace(member_reference(rows, None), distance=distances(torch.randn(4, LAYOUT.size), 3))
    networks = NetworkSet("generated", None, rows, None, reference)
    assert spread.duplicates.function(networks) == 0
    assert spread.duplicates.function(replace(networks, rows=rows[[0, 0, 1]])) == 1


def text_of(metric: Metric) -> str:
    return f"{metric.heading}: {metric.meaning}"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (text_of(novelty.jensen_shannon), f"{novelty.BINS} bins"),
        (text_of(spread.duplicates), f"within {spread.SAME:g} τ"),
        (str(Verdict.model_fields["new"].description), f"at least {FAR} of the held-out members'"),
        (str(Verdict.model_fields["new"].description), f"at most {ALIKE} above theirs"),
        (str(Verdict.model_fields["new"].description), f"within {COPIED} tau"),
        (next(plot.caption for plot in PLOTS if plot.name == "two_sample"), "97.5 % interval"),
        (str(Verdict.model_fields["indistinguishable"].description), "97.5 % interval"),
        (next(plot.caption for plot in PLOTS if plot.name == "round_trip"), "at most 200 members"),
        (next(plot.caption for plot in PLOTS if plot.name == "round_trip"), "at most 1,000 test examples"),
    ],
)
def test_numbers_in_words_are_the_constants(text: str, number: str):
    assert number in " ".join(text.split())


def test_the_interval_is_that_of_97_5_percent():
    assert torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(two_sample.WIDTH)) == pytest.approx(0.9875, abs=1e-4)


def test_keys_that_baselines_name_exist():
    names = {name for baseline in BASELINES for name in re.findall(r"evaluate\.(\w+)", baseline.meaning)}
    assert names == {"noise_levels", "interpolation_fractions"}
    assert names <= EvaluateParams.model_fields.keys()


def test_no_metric_is_explained_by_another_one_s_words():
    meanings = [metric.meaning for metric in METRICS.values()]
    assert len(set(meanings)) == len(meanings)
