"""The baselines' frontier, on sets whose answer can be read off."""

import pytest
from figure_builders import set_figures

from stages.evaluation.frontier import frontier, gain_over_baselines, rivals

SETS = {
    "members": set_figures("members", 0.96, 1.0, std=0.01),
    "generated": set_figures("generated", 0.95, 0.5, std=0.01),
    "noise 0.1": set_figures("baseline", 0.92, 0.4, std=0.01, family="noise"),
    "noise 0.2": set_figures("baseline", 0.80, 0.8, std=0.01, family="noise"),
    "soup 2": set_figures("baseline", 0.90, 0.6, std=0.01, family="soup"),
    "fresh": set_figures("baseline", 0.10, 1.2, std=0.01, family="fresh"),
}


def test_noise_is_read_off_the_line_through_its_levels():
    assert next(r for r in rivals(SETS, 0.2) if r.name == "noise").score == pytest.approx(0.94)
    assert next(r for r in rivals(SETS, 0.6) if r.name == "noise").score == pytest.approx(0.86)
    assert all(r.name != "noise" for r in rivals(SETS, 0.9)), "no level gets there"


def test_the_frontier_is_the_best_baseline_at_each_distance():
    best = frontier(SETS)
    assert len(best.distance) == len(best.score) == len(best.name) == 61
    at = {round(d, 2): (s, n) for d, s, n in zip(best.distance, best.score, best.name, strict=True)}
    assert at[0.0] == (pytest.approx(0.96), "noise")
    assert at[0.6] == (pytest.approx(0.90), "soup 2"), "where noise has fallen to 0.86"
    assert at[1.2] == (pytest.approx(0.10), "fresh")


def test_the_gain_is_over_the_best_at_the_generator_s_own_distance():
    gain = gain_over_baselines(SETS)
    assert (gain.at, gain.rival) == (0.5, "soup 2")
    assert gain.gain == pytest.approx(0.05)
    assert gain.error == pytest.approx(0.01 * 2**0.5 / 10)


def test_where_no_baseline_gets_there_is_no_gain():
    gain = gain_over_baselines({**SETS, "generated": set_figures("generated", 0.9, 2.0)})
    assert (gain.gain, gain.error, gain.rival) == (None, None, None)


def test_a_baseline_that_gets_almost_as_far_is_a_rival_and_one_that_stays_behind_is_none():
    for distance, counts in ((0.6 / 0.95 - 1e-6, True), (0.6 / 0.95 + 1e-6, False)):
        assert ("soup 2" in [rival.name for rival in rivals(SETS, distance)]) is counts


def test_without_baselines_there_is_no_frontier():
    few = {name: entry for name, entry in SETS.items() if entry.role != "baseline"}
    assert frontier(few).distance == []
    assert gain_over_baselines(few).rival is None
