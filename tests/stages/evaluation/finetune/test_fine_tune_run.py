"""Fine-tuning runs: scores of the networks as they are trained, on data that the training never sees."""

from dataclasses import replace

import pytest
import torch
from small_task import CTX, RECIPE, convnet, data, fine_tune_run, mlp, untrained
from torch.func import functional_call

from stages.datasets import Test, Train
from stages.evaluation.figure_parts import ScoreCurve
from stages.evaluation.finetune import fine_tune_run as module
from stages.evaluation.finetune.fine_tune_run import cached, score_curve
from stages.evaluation.results import results_of
from stages.members.draws import Seeds
from stages.members.loop import train_from
from stages.nets.normalisation import reestimate
from stages.nets.stacked import outputs
from stages.sampling.completion import Completion
from stages.store.layout import Layout


def test_without_training_scores_are_those_that_networks_have():
    """The same function on the same outputs: exactly."""
    run, rows = fine_tune_run(), untrained(mlp())
    expected = results_of([outputs(mlp(), Layout.of_module(mlp()), rows, run.test.inputs)], run.test.targets).scores
    assert torch.equal(run.scores(rows, [0])[0], expected)


def test_scores_after_training_are_those_of_the_trained_networks():
    run, net = fine_tune_run(), mlp()
    rows = untrained(net)
    (trained,) = train_from(net, rows, RECIPE, Seeds(5), (0, 4, 30), run.train, CTX)
    found = run.scores(rows, (0, 4, 30))
    for at, scores in zip(trained, found, strict=True):
        for row, score in zip(at, scores, strict=True):
            logits = functional_call(net, Layout.of_module(net).unflatten(row), (run.test.inputs,))
            assert float(score) == pytest.approx(float((logits.argmax(1) == run.test.targets).double().mean()))
    assert float(found[2].mean()) > float(found[0].mean()) + 0.3


def test_statistics_are_measured_anew_at_every_eval_step_on_training_examples():
    run, net = fine_tune_run(convnet()), convnet()
    rows, layout = untrained(net), Layout.of_module(net)
    completed = torch.cat([rows, torch.ones(3, 8)], 1)  # statistics: mean 0 would be 0, this is wrong for all
    trained = torch.cat(list(train_from(net, completed, RECIPE, Seeds(5), (0, 7), run.train, CTX)), dim=1)
    found = run.scores(rows, (0, 7))
    for at, scores in zip(trained, found, strict=True):
        parameters = at[:, : layout.parameter_layout.size]
        measured = reestimate(net, layout, parameters, run.train.inputs[:64], 32)
        logits = outputs(net, layout.parameter_layout, parameters, run.test.inputs, measured)
        assert torch.equal(scores, results_of([logits], run.test.targets).scores)


def test_the_reference_s_running_statistics_play_no_part():
    run, rows = fine_tune_run(convnet()), untrained(convnet())
    changed = {name: tensor + 7 for name, tensor in run.completion.reference.items()}
    other = replace(run, completion=replace(run.completion, reference=changed))
    assert torch.equal(run.scores(rows, (0, 7)), other.scores(rows, (0, 7)))


def test_the_loop_is_given_training_data_alone(monkeypatch):
    shown, measured = [], []
    monkeypatch.setattr(module, "train_from", lambda *args: shown.append(args) or train_from(*args))
    inner = Completion.measured
    monkeypatch.setattr(Completion, "measured", lambda self, rows: measured.append(self.data) or inner(self, rows))
    run = fine_tune_run(convnet())
    run.scores(untrained(convnet()), (0, 3))
    ((*_, train, _),) = shown
    assert train is run.train
    assert not [argument for argument in shown[0] if isinstance(argument, Test)]
    assert all(isinstance(data, Train) and data is run.train for data in measured)


def test_other_test_data_change_scores_and_no_network(monkeypatch):
    trained = []

    def recording(*args):
        for rows in train_from(*args):
            trained.append(rows.clone())
            yield rows

    monkeypatch.setattr(module, "train_from", recording)
    train, test = data()
    changed = Test(test.inputs.flip(0) * 3, (test.targets + 1) % 3)
    scores = [fine_tune_run(convnet(), (train, one)).scores(untrained(convnet()), (0, 20)) for one in (test, changed)]
    assert torch.equal(torch.cat(trained[:3]), torch.cat(trained[3:]))
    assert not torch.equal(*scores)


def test_scores_that_were_computed_before_are_read(tmp_path):
    scores = torch.tensor([[0.25, 0.5], [1.0, 0.0]], dtype=torch.float64)
    assert torch.equal(cached(tmp_path, "finetune", "one", lambda: scores), scores)
    assert (tmp_path / "finetune-one.json").exists()
    assert torch.equal(cached(tmp_path, "finetune", "one", lambda: pytest.fail("measured again")), scores)


def test_mean_and_deviation_are_over_networks():
    curve = score_curve(torch.tensor([[0.0, 1.0], [0.5, 0.5]]))
    assert curve == ScoreCurve(mean=[0.5, 0.5], std=[0.5, 0.0])
