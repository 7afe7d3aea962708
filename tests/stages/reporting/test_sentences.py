"""Findings as sentences: their figures, their grammar, and silence where nothing was measured."""

import pytest

from stages.reporting import sentences
from stages.reporting.lineage import in_words


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"at": 0.5, "gain": 0.0123, "error": 0.004, "rival": "soup 2"},
            "do better than the best baseline, soup 2, by 1.23 ± 0.40 points",
        ),
        ({"at": 0.5, "gain": -0.0123, "rival": "noise"}, "do worse than the best baseline, noise, by 1.23 points"),
        ({"at": 0.5, "gain": 1e-9, "rival": "noise"}, "do as well as the best baseline, noise"),
        (
            {"at": 0.5, "gain": -0.0028, "error": 0.0392, "rival": "noise"},
            "do as well as the best baseline, noise, within two standard errors (-0.28 ± 3.92 points)",
        ),
        (
            {"at": 0.97, "gain": None, "rival": None},
            "No baseline gets as far from the members as the generated networks (0.97 τ)",
        ),
    ],
)
def test_the_gain_has_a_sign_in_words(found, said):
    assert said in sentences.gain({"gain_over_baselines": found})


def test_correlations_have_no_points():
    figures = {"score": "spearman", "gain_over_baselines": {"at": 0.5, "gain": 0.0123, "rival": "noise"}}
    assert sentences.gain(figures).endswith("by 0.0123.")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "No generated"), (1, "1 of 9 generated networks repeats"), (3, "3 of 9 generated networks repeat ")],
)
def test_duplicates_are_counted_grammatically(count, said):
    assert sentences.repeated({"sets": {"generated": {"duplicates": count, "networks": 9}}}).startswith(said)


def test_members_that_were_drawn_are_counted_and_nothing_is_said_of_all():
    sets = {"members": {"networks": 1000}, "held-out": {"networks": 200}}
    said = sentences.drawn({"zoo": {"members": 9000, "held-out": 200}, "sets": sets})
    assert said.startswith("Measured were 1,000 of 9,000 members, drawn at random;")
    assert "1,000 of 9,000 members and 200 of 300 held-out members" in sentences.drawn(
        {"zoo": {"members": 9000, "held-out": 300}, "sets": sets}
    )
    assert sentences.drawn({"zoo": {"members": 1000, "held-out": 200}, "sets": sets}) == ""
    assert sentences.drawn({}) == ""


def test_ensembles_are_compared_at_the_largest_size_both_have():
    sets = {
        "generated": {"ensemble_curve": {"sizes": [1, 5, 10], "score": [0.9, 0.91, 0.92]}},
        "members": {"ensemble_curve": {"sizes": [1, 5, 200], "score": [0.9, 0.95, 0.99]}},
    }
    assert (
        sentences.averaged({"sets": sets}) == "Averaged, 5 generated networks reach 91.00 %, as many members 95.00 %."
    )
    assert sentences.averaged({"sets": {"members": sets["members"]}}) == ""


def test_aucs_come_with_their_intervals_where_there_are_any():
    tests = {"weights": {"auc": 0.5, "low": 0.4, "high": 0.6}, "outputs": {"auc": 0.7}, "mmd": {"p": 0.1}}
    told = sentences.told_apart({"sets": {"generated": {"two_sample": tests}}})
    assert "0.50 (0.40 to 0.60) by their weights and 0.70 by their outputs" in told


def test_long_lists_of_what_was_left_are_cut():
    told = sentences.unpermuted({"alignment": {"unpermuted": [f"part {i}" for i in range(9)]}})
    assert "part 5" in told
    assert "part 6" not in told
    assert told.endswith("and 3 more.")
    assert "for want of a rule" in sentences.unpermuted({"alignment": {"unpermuted": []}})


SILENT = [
    getattr(sentences, name)
    for name in (
        "gain",
        "told_apart",
        "repeated",
        "further_training",
        "averaged",
        "pace",
        "round_trip",
        "concentration",
        "unpermuted",
    )
]


@pytest.mark.parametrize("sentence", SILENT)
@pytest.mark.parametrize("figures", [{}, {"sets": {"generated": None}, "canonicalization": None, "finetuning": {}}])
def test_what_was_not_measured_is_not_told(sentence, figures):
    assert sentence(figures) == ""


def test_stages_summaries_are_phrases_and_what_no_phrase_knows_is_kept():
    summary = {
        "networks": 24,
        "parameters": 205066,
        "validation_accuracy": 0.8347,
        "validation_accuracy_std": 0.0077,
        "retrained": 0,
        "new_figure": 0.123456,
        "nested": {"a": 1},
        "unknown": None,
    }
    assert in_words(summary) == (
        "24 networks, of 205,066 parameters each, validation accuracy 83.47 % ± 0.77 %, 0 of them trained again, "
        "new figure 0.1235"
    )
    assert in_words({"barrier_before": 1.0}) == "barrier before 1"
    assert in_words(None) == ""
