"""The verdict, on sets whose answers can be read off."""

import pytest
from figure_builders import generated_beside, separated, set_figures

from stages.evaluation.verdict import separability_tests, verdict


@pytest.mark.parametrize(
    ("score", "distance", "overlap", "answers"),
    [
        (0.96, 0.0, 1.0, (True, False, False)),  # copies: accurate, never new
        (0.957, 0.15, 0.9, (True, False, False)),  # noise is as good half way
        (0.954, 0.3, 0.8, (False, False, False)),  # no better than noise
        (0.9553, 0.3, 0.8, (True, False, False)),  # ahead by less than the error
        (0.96, 0.8, 0.5, (True, False, True)),  # ahead of soups
        (0.96, 1.0, 0.5, (True, True, None)),  # held-out members themselves, beside baselines that don't get there
        (0.30, 3.0, 0.1, (False, True, None)),  # fresh networks: far from the members is not better than baselines
    ],
)
def test_copies_noise_and_held_out_members_have_different_verdicts(score, distance, overlap, answers):
    answer = verdict(generated_beside(set_figures("generated", score, distance, overlap)))
    assert (answer.accurate, answer.new, answer.better_than_baselines) == answers
    assert answer.indistinguishable is None, "there were no tests"


def test_beside_held_out_members_that_are_copies_nothing_is_new():
    sets = generated_beside(set_figures("generated", 0.96, 17.6, 0.3))
    assert verdict(sets).new is True
    assert verdict(sets | {"held-out": set_figures("held-out", 0.96, 0.05, 0.99)}).new is None


def test_a_far_network_that_errs_as_a_member_does_is_not_new():
    assert verdict(generated_beside(set_figures("generated", 0.96, 1.0, 0.54))).new is True
    assert verdict(generated_beside(set_figures("generated", 0.96, 1.0, 0.56))).new is False


@pytest.mark.parametrize(("interval", "answer"), [((0.45, 0.6), True), ((0.55, 0.7), False), ((0.3, 0.45), True)])
def test_networks_that_no_classifier_separates_are_indistinguishable(interval, answer):
    generated = set_figures("generated", 0.96, 1.0, 0.5, **separated(*interval))
    assert verdict(generated_beside(generated)).indistinguishable is answer
    assert list(separability_tests(generated)) == ["weights", "outputs"]


def test_without_data_the_verdict_judges_the_weights_alone():
    sets = {
        "members": set_figures("members", distance=1.0),
        "held-out": set_figures("held-out", distance=1.0),
        "generated": set_figures("generated", distance=1.0, **separated(0.4, 0.6, outputs=False)),
        "noise 0.1": set_figures("baseline", distance=0.3, family="noise"),
    }
    answer = verdict(sets)
    assert (answer.accurate, answer.new, answer.better_than_baselines) == (None, True, None)
    assert answer.indistinguishable is True
    assert list(separability_tests(sets["generated"])) == ["weights"]
    near = verdict(sets | {"generated": set_figures("generated", distance=0.5)})
    assert (near.new, near.indistinguishable) == (False, None)
