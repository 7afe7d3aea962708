"""The baselines' frontier, on sets whose answer can be read off."""

import pytest

from stages.evaluation.frontier import frontier, gain_over_baselines, rivals


def one(role: str, accuracy: float, distance: float, family: str | None = None) -> dict[str, object]:
    return {
        "role": role,
        "family": family,
        "networks": 100,
        "score": {"mean": accuracy, "std": 0.01},
        "distance_in_tau": distance,
    }


SETS = {
    "members": one("members", 0.96, 1.0),
    "generated": one("generated", 0.95, 0.5),
    "noise 0.1": one("baseline", 0.92, 0.4, "noise"),
    "noise 0.2": one("baseline", 0.80, 0.8, "noise"),
    "soup 2": one("baseline", 0.90, 0.6, "soup"),
    "fresh": one("baseline", 0.10, 1.2, "fresh"),
}


def test_noise_is_read_off_the_line_through_its_levels():
    assert next(r for r in rivals(SETS, 0.2) if r.name == "noise").score == pytest.approx(0.94)
    assert next(r for r in rivals(SETS, 0.6) if r.name == "noise").score == pytest.approx(0.86)
    assert all(r.name != "noise" for r in rivals(SETS, 0.9)), "no level gets there"


def test_the_frontier_is_the_best_baseline_at_each_distance():
    found = frontier(SETS)
    assert len(found["distance"]) == len(found["score"]) == len(found["name"]) == 61
    at = {round(d, 2): (s, n) for d, s, n in zip(found["distance"], found["score"], found["name"], strict=True)}
    assert at[0.0] == (pytest.approx(0.96), "noise")
    assert at[0.6] == (pytest.approx(0.90), "soup 2"), "where noise has fallen to 0.86"
    assert at[1.2] == (pytest.approx(0.10), "fresh")


def test_the_gain_is_over_the_best_at_the_generator_s_own_distance():
    found = gain_over_baselines(SETS)
    assert (found["at"], found["rival"]) == (0.5, "soup 2")
    assert found["gain"] == pytest.approx(0.05)
    assert found["error"] == pytest.approx(0.01 * 2**0.5 / 10)


def test_where_no_baseline_gets_there_is_no_gain_to_tell():
    found = gain_over_baselines({**SETS, "generated": one("generated", 0.9, 2.0)})
    assert (found["gain"], found["rival"]) == (None, None)
