"""Metrics of novelty against closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from network_sets import measured_set, network_set

from stages.evaluation.figures import Summary
from stages.evaluation.metrics.novelty import (
    data_copying,
    jensen_shannon_distance,
    nearest_member_score,
    novel_and_performant_shares,
    wasserstein_distance,
)

seeds = st.integers(0, 10_000)


def test_novel_and_performant_are_those_above_the_bar_and_far_enough():
    performant, distance = torch.tensor([True, False, True, True]), torch.tensor([3.0, 3.0, 1.0, 0.4])
    shares = novel_and_performant_shares(performant, distance, tau=2.0, margins=(0.25, 1.0))
    assert shares == {"0.25": 0.5, "1.0": 0.25}


def test_the_shares_are_those_of_the_set():
    networks = network_set()
    shares = measured_set()["novel_and_performant"]
    scores, tau = networks.outcome.scores, networks.reference.tau
    for margin in (0.5, 1.0):
        both = (scores >= 0.5) & (networks.nearest.distance > margin * tau)
        assert shares[str(margin)] == float(both.double().mean())


def test_members_are_never_their_own_nearest_member():
    figures = measured_set("members")
    for name in ("distance", "distance_quotient", "distance_normalised"):
        summary = figures[name]
        assert isinstance(summary, Summary)
        assert summary.min > 0
    assert figures["distance_in_tau"] == pytest.approx(1)
    assert figures["wasserstein"] == figures["jensen_shannon"] == 0


def test_copies_lie_nearer_to_members_than_held_out_members_do():
    drawn, members = network_set(), network_set("members").rows
    apart = {"copies": members + 1e-3, "far off": members + 50}
    z = {name: data_copying.function(replace(drawn, rows=rows)) for name, rows in apart.items()}
    assert z["copies"] < -2
    assert z["far off"] > 2
    assert data_copying.function(replace(drawn, rows=drawn.reference.heldout[0])) == pytest.approx(0)
    assert data_copying.function(replace(drawn, role="held-out")) is None
    assert data_copying.function(replace(drawn, reference=replace(drawn.reference, heldout=None))) is None


def test_a_nearest_member_s_score_is_that_member_s():
    members = network_set("members")
    copies = replace(network_set(), rows=members.rows[[4, 2]])
    assert nearest_member_score.function(copies).tolist() == members.outcome.scores[[4, 2]].tolist()
    others = nearest_member_score.function(members)
    assert others.tolist() == [float(members.outcome.scores[i]) for i in members.nearest.member]
    assert not any(i == int(j) for i, j in enumerate(members.nearest.member))


@given(seeds)
def test_samples_of_distances_that_are_moved_differ_by_the_move(seed: int):
    values = torch.rand(30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert wasserstein_distance(values + 0.7, values) == pytest.approx(0.7)
    assert jensen_shannon_distance(values, values) == 0
    assert jensen_shannon_distance(values + 2, values) == pytest.approx(1), "nothing in common"
    assert jensen_shannon_distance(values[:1], values[:1]) == 0


def test_half_of_the_mass_elsewhere_has_a_known_jensen_shannon_distance():
    here, half = torch.zeros(4), torch.tensor([0.0, 0.0, 1.0, 1.0])
    divergence = (math.log2(1 / 0.75) + 0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25)) / 2
    assert jensen_shannon_distance(half, here) == pytest.approx(math.sqrt(divergence))
