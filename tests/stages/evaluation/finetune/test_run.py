"""What a course trains on and what it scores on."""

import json
from dataclasses import replace

import pytest
import torch
from small_task import CTX, RECIPE, convnet, course, data, mlp, start
from torch.func import functional_call

from stages.datasets import Test, Train
from stages.evaluation.finetune import run as module
from stages.evaluation.finetune.run import remembered, spread
from stages.evaluation.outcome import outcome
from stages.members.draws import Seeds
from stages.members.loop import train_from
from stages.nets.normalisation import reestimate
from stages.nets.stacked import outputs
from stages.sampling.completion import Completion
from stages.store.layout import Layout


def test_without_training_scores_are_those_that_networks_have():
    """The same function on the same outputs: exactly."""
    there, rows = course(), start(mlp())
    expected = outcome([outputs(mlp(), Layout.of_module(mlp()), rows, there.test.inputs)], there.test.targets).scores
    assert torch.equal(there.scores(rows, [0])[0], expected)


def test_scores_after_training_are_those_of_the_trained_networks():
    there, net = course(), mlp()
    rows = start(net)
    (trained,) = train_from(net, rows, RECIPE, Seeds(5), (0, 4, 30), there.train, CTX)
    found = there.scores(rows, (0, 4, 30))
    for at, scores in zip(trained, found, strict=True):
        for row, score in zip(at, scores, strict=True):
            logits = functional_call(net, Layout.of_module(net).unflatten(row), (there.test.inputs,))
            assert float(score) == pytest.approx(float((logits.argmax(1) == there.test.targets).double().mean()))
    assert float(found[2].mean()) > float(found[0].mean()) + 0.3


def test_statistics_are_measured_anew_at_every_stop_on_training_examples():
    there, net = course(convnet()), convnet()
    rows, layout = start(net), Layout.of_module(net)
    completed = torch.cat([rows, torch.ones(3, 8)], 1)  # statistics: mean 0 would be 0, this is wrong for all
    trained = torch.cat(list(train_from(net, completed, RECIPE, Seeds(5), (0, 7), there.train, CTX)), dim=1)
    found = there.scores(rows, (0, 7))
    for at, scores in zip(trained, found, strict=True):
        drawn = at[:, : layout.drawn.parameters]
        measured = reestimate(net, layout, drawn, there.train.inputs[:64], 32)
        logits = outputs(net, layout.drawn, drawn, there.test.inputs, measured)
        assert torch.equal(scores, outcome([logits], there.test.targets).scores)


def test_what_the_reference_remembers_plays_no_part():
    there, rows = course(convnet()), start(convnet())
    spoilt = {name: tensor + 7 for name, tensor in there.complete.reference.items()}
    other = replace(there, complete=replace(there.complete, reference=spoilt))
    assert torch.equal(there.scores(rows, (0, 7)), other.scores(rows, (0, 7)))


def test_the_loop_is_given_training_data_alone(monkeypatch):
    shown, measured = [], []
    monkeypatch.setattr(module, "train_from", lambda *args: shown.append(args) or train_from(*args))
    inner = Completion.measured
    monkeypatch.setattr(Completion, "measured", lambda self, rows: measured.append(self.data) or inner(self, rows))
    there = course(convnet())
    there.scores(start(convnet()), (0, 3))
    ((*_, train, _),) = shown
    assert train is there.train
    assert not [part for part in shown[0] if isinstance(part, Test)]
    assert all(isinstance(part, Train) and part is there.train for part in measured)


def test_spoiling_the_test_data_changes_scores_and_no_network(monkeypatch):
    trained = []

    def watched(*args):
        for rows in train_from(*args):
            trained.append(rows.clone())
            yield rows

    monkeypatch.setattr(module, "train_from", watched)
    train, test = data()
    spoilt = Test(test.inputs.flip(0) * 3, (test.targets + 1) % 3)
    scores = [course(convnet(), (train, one)).scores(start(convnet()), (0, 20)) for one in (test, spoilt)]
    assert torch.equal(torch.cat(trained[:3]), torch.cat(trained[3:]))
    assert not torch.equal(*scores)


def test_a_set_that_was_measured_is_read(tmp_path):
    scores = torch.tensor([[0.25, 0.5], [1.0, 0.0]], dtype=torch.float64)
    assert torch.equal(remembered(tmp_path, "finetune", "one", lambda: scores), scores)
    assert json.loads((tmp_path / "finetune-one.json").read_text()) == scores.tolist()
    assert torch.equal(remembered(tmp_path, "finetune", "one", lambda: pytest.fail("measured again")), scores)


def test_mean_and_deviation_are_over_networks():
    assert spread(torch.tensor([[0.0, 1.0], [0.5, 0.5]])) == {"mean": [0.5, 0.5], "std": [0.5, 0.0]}
