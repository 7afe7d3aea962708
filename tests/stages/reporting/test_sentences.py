"""Findings as sentences: their figures, their grammar, and silence where nothing was measured."""

import pytest
from figure_builders import figures_of, generated_beside, separated, set_figures, zoo_size

from stages.evaluation.figure_parts import Alignment, FineTuning, Gain, ScoreCurve
from stages.evaluation.metrics.performance import EnsembleCurve
from stages.evaluation.verdict import verdict
from stages.reporting import sentences
from stages.reporting.lineage import StageFacts


@pytest.mark.parametrize(
    ("gain", "text"),
    [
        (
            {"at": 0.5, "gain": 0.0123, "error": 0.004, "rival": "soup 2"},
            "do better than the best baseline that gets as far, soup 2, by 1.23 ± 0.40 points",
        ),
        (
            {"at": 0.5, "gain": -0.0123, "rival": "noise"},
            "do worse than the best baseline that gets as far, noise, by 1.23",
        ),
        (
            {"at": 0.5, "gain": -0.0028, "error": 0.0392, "rival": "noise"},
            "the best baseline that gets as far, noise, by less than two standard errors (-0.28 ± 3.92 points)",
        ),
        (
            {"at": 0.97, "gain": None, "rival": None},
            "No baseline gets as far from the members as the generated networks (0.97 τ)",
        ),
    ],
)
def test_the_gain_has_a_sign_in_words(gain, text):
    assert text in sentences.gain(figures_of({}, gain_over_baselines=Gain(**gain)))


def test_correlations_have_no_points():
    figures = figures_of({}, score="spearman", gain_over_baselines=Gain(at=0.5, gain=0.0123, rival="noise"))
    assert sentences.gain(figures).endswith("by 0.0123.")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "No generated"), (1, "1 of 9 generated networks lies"), (3, "3 of 9 generated networks lie ")],
)
def test_duplicates_are_counted_grammatically(count, text):
    generated = set_figures("generated", networks=9, duplicates=count)
    assert sentences.repetition(figures_of({"generated": generated})).startswith(text)


def test_members_that_were_drawn_are_counted_and_nothing_is_said_of_all():
    sets = {"members": set_figures("members", networks=1000), "held-out": set_figures("held-out", networks=200)}

    def sentence(members: int, heldout: int) -> str:
        return sentences.sampled_members(figures_of(sets, zoo=zoo_size(members, heldout)))

    assert sentence(9000, 200).startswith("Measured were 1,000 of 9,000 members, drawn at random;")
    assert "1,000 of 9,000 members and 200 of 300 held-out members" in sentence(9000, 300)
    assert sentence(1000, 200) == ""
    assert sentences.sampled_members(figures_of(sets)) == ""


def test_ensembles_are_compared_at_the_largest_size_both_have():
    curves = {
        "generated": EnsembleCurve(sizes=[1, 5, 10], score=[0.9, 0.91, 0.92], loss=[0.3, 0.2, 0.1]),
        "members": EnsembleCurve(sizes=[1, 5, 200], score=[0.9, 0.95, 0.99], loss=[0.3, 0.2, 0.1]),
    }
    sets = {name: set_figures(name, ensemble_curve=curve) for name, curve in curves.items()}
    text = "Averages of 5 generated networks have 91.00 % on average, of as many members 95.00 %."
    assert sentences.ensembles(figures_of(sets)) == text
    assert sentences.ensembles(figures_of({"members": sets["members"]})) == ""


def test_aucs_come_with_their_intervals():
    generated = set_figures("generated", **separated(0.4, 0.6))
    text = sentences.separability(figures_of({"generated": generated}))
    assert "0.50 (0.40 to 0.60) by weights, 0.50 (0.40 to 0.60) by outputs" in text
    generated = set_figures("generated", **separated(0.4, 0.6, outputs=False))
    assert "outputs" not in sentences.separability(figures_of({"generated": generated}))


def with_notes(notes: list[str]) -> str:
    """The sentence about operations that were left unpermuted for these reasons."""
    alignment = Alignment(distance_before=[], distance_after=[], largest_output_gap=0.0, unpermuted=notes)
    return sentences.unpermuted(figures_of({}, alignment=alignment))


def test_long_lists_of_unpermuted_operations_are_cut():
    text = with_notes([f"part {i}" for i in range(9)])
    assert "part 5" in text
    assert "part 6" not in text
    assert text.endswith("and 3 more.")
    assert "names nothing that it left unpermuted" in with_notes([])


@pytest.mark.parametrize(
    "sentence",
    [
        sentences.gain,
        sentences.separability,
        sentences.repetition,
        sentences.sampled_members,
        sentences.further_training,
        sentences.ensembles,
        sentences.round_trip,
        sentences.concentration,
        sentences.unpermuted,
        sentences.verdict,
    ],
)
@pytest.mark.parametrize(
    "figures", [figures_of({}), figures_of({"generated": set_figures("generated")}, finetuning=None)]
)
def test_what_was_not_measured_is_not_told(sentence, figures):
    assert sentence(figures) == ""


def test_without_a_sampling_time_there_is_no_speed():
    assert sentences.speed(None) == ""
    assert sentences.speed(1234.5).startswith("1,234 networks were generated per minute")


def verdict_text(*figures: float, score: str = "accuracy", **metrics: object) -> str:
    """The verdict on generated networks of this score, distance and overlap, in sentences."""
    sets = generated_beside(set_figures("generated", *figures, **metrics))
    return sentences.verdict(figures_of(sets, score=score, verdict=verdict(sets)))


def test_the_verdict_gives_answers_with_the_figures_that_they_rest_on():
    text = verdict_text(0.9553, 0.3, 0.8)
    assert "As accurate as held-out members: yes (95.53 % against 96.00 ± 0.50 %)." in text
    assert "New: no (nearest member at 0.30 τ where held-out members are at 1.00 τ; max IoU 0.80 against 0.50)." in text
    assert "Better than every baseline as far from the members: no (95.53 % against 95.50 % of noise between" in text
    assert text.endswith("between its levels, at 0.30 τ, less than two standard errors apart).")


@pytest.mark.parametrize(("distance", "copies"), [(0.0, True), (0.09, True), (0.11, False), (1.0, False)])
def test_networks_next_to_members_are_called_copies(distance, copies):
    assert ("copies of members" in verdict_text(0.96, distance, 0.5)) is copies


@pytest.mark.parametrize(("interval", "answer"), [((0.45, 0.6), "yes"), ((0.55, 0.7), "no")])
def test_the_verdict_says_whether_a_classifier_separates_them(interval, answer):
    assert f" Not told from held-out members by a classifier: {answer} (AUC " in verdict_text(
        0.96, 1.0, 0.5, **separated(*interval)
    )


def test_without_test_data_accuracy_is_not_judged():
    sets = {role: set_figures(role, distance=1.0) for role in ("members", "held-out", "generated")}
    text = sentences.verdict(figures_of(sets, score=None, verdict=verdict(sets)))
    assert text.startswith("Accuracy can't be judged without test data. New: yes (nearest member at 1.00 τ")


def test_the_verdict_on_a_regression_says_spearman():
    text = verdict_text(0.8, 1.0, 0.5, score="spearman")
    assert "Spearman correlation 0.8000 against 0.9600 ± 0.0050" in text
    assert "%" not in text


def in_words(summary: dict[str, object]) -> str:
    return StageFacts("fit", "0", 1.0, summary).in_words


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
    assert in_words({}) == ""


@pytest.mark.parametrize(
    ("generated", "start", "end"),
    [
        (
            [0.96, 0.961, 0.962],
            "Without further training, generated networks are as good as members",
            "96.20 %",
        ),
        (
            [0.60, 0.958, 0.97],
            "Generated networks need further training to be as good as members",
            "97.00 %",
        ),
        (
            [0.60, 0.7, 0.8],
            "Further training doesn't make generated networks as good as members",
            "80.00 %",
        ),
    ],
)
def test_generated_networks_are_as_good_as_members_at_once_or_after_training_or_never(generated, start, end):
    members = ScoreCurve(mean=[0.965, 0.966, 0.97], std=[0.01, 0.01, 0.01])
    sets = {"generated": ScoreCurve(mean=generated, std=[0.0] * 3), "members": members}
    text = sentences.further_training(figures_of({}, finetuning=FineTuning(steps=[0, 50, 200], networks=8, sets=sets)))
    assert text.startswith(start)
    assert " against 96.50 ± 1.00 %, of 8 networks each" in text
    assert text.endswith(f"; after 200 steps {end} against 97.00 %.")
    assert ("; 50 steps bring them to 95.80 %" in text) is (generated[1] == 0.958)


def test_the_score_as_it_is_says_nothing_of_training():
    sets = {name: ScoreCurve(mean=[0.9], std=[0.0]) for name in ("generated", "members")}
    trained = FineTuning(steps=[0], networks=8, sets=sets)
    text = sentences.further_training(figures_of({}, score="spearman", finetuning=trained))
    assert text.endswith("as good as members: 0.9000 against 0.9000 ± 0.0000, of 8 networks each.")
