"""Metrics of performance: those of classifiers, those of regressions, and copied statistics."""

import json

import torch
from network_sets import measured, measured_set, members_with, network_set, outputs_and_targets

from stages.evaluation.figures import json_of
from stages.evaluation.metric import summary
from stages.evaluation.metrics.performance import per_class
from stages.evaluation.results import results_of


def test_scores_are_summarized_over_the_networks():
    networks = network_set()
    figures = measured_set()
    assert figures["score"] == summary(networks.outcome.scores)
    assert figures["lowest_score"] == float(networks.outcome.scores.min())
    assert figures["loss"] == summary(networks.outcome.losses)


def test_copied_statistics_are_reported_where_there_are_any():
    figures = measured_set()
    assert figures["with_reference_statistics"] == figures["score"]
    assert "with_reference_statistics" not in measured_set("members")


def test_a_regression_has_no_classes_and_no_calibration():
    outputs, targets = outputs_and_targets(regression=True)
    results = results_of([outputs], targets)
    figures = measured(members_with(results))
    assert not {"ece", "per_class"} & set(figures)
    assert [figures[name] for name in ("r2", "mae")] == [summary(results.further[name]) for name in ("r2", "mae")]


def test_classifiers_have_no_regression_s_figures():
    figures = measured_set()
    assert {"ece", "per_class"} <= set(figures)
    assert not {"r2", "mae"} & set(figures)


def test_a_class_without_examples_has_no_accuracy():
    logits, targets = torch.randn(7, 6, 4), torch.tensor([0, 1, 3, 3, 1, 0])
    networks = members_with(results_of([logits], targets))
    accuracy, _ = per_class.measure(networks)
    assert accuracy
    assert [share is None for share in accuracy] == [False, False, True, False]
    written = {name: json_of(f) if hasattr(f, "model_dump") else f for name, f in measured(networks).items()}
    json.dumps(written, allow_nan=False)
