"""The fine-tuning gap and what it answers."""

from functools import partial

import pytest
from small_task import course, mlp, start

from stages.evaluation.finetune.gap import answer, finetuning
from stages.evaluation.finetune.run import remembered
from stages.params.finetune import FineTune
from stages.reporting.wording import SCORES

PARAMS = FineTune(steps=(0, 5, 60), networks=2)


def test_every_set_at_every_stop(tmp_path):
    """A planted generator that returns the members has the members' figures."""
    rows = start(mlp())
    sets = {"generated": lambda n: rows[:n], "members": lambda n: rows[:n], "fresh": lambda n: start(mlp(), n, 3)}
    found = finetuning(PARAMS, sets, course(), partial(remembered, tmp_path, "finetune"))
    assert (found["steps"], found["networks"], list(found["sets"])) == ([0, 5, 60], 2, list(sets))
    assert found["sets"]["generated"] == found["sets"]["members"] != found["sets"]["fresh"]
    assert found["sets"]["members"]["mean"] == course().scores(rows[:2], (0, 5, 60)).mean(1).tolist()
    assert found["sets"]["members"]["mean"][2] > 0.7
    assert "need no fine-tuning" in found["text"]


def test_a_finished_set_is_not_trained_again(tmp_path):
    rows = start(mlp())
    sets = {"generated": lambda n: rows[:n], "members": lambda n: rows[:n]}
    one = finetuning(PARAMS, sets, course(), partial(remembered, tmp_path, "finetune"))
    never = {name: lambda n: pytest.fail("trained again") for name in sets}
    assert finetuning(PARAMS, never, course(), partial(remembered, tmp_path, "finetune")) == one


@pytest.mark.parametrize(
    ("generated", "said"),
    [
        (
            [0.96, 0.961, 0.962],
            "need no fine-tuning: 96.00 % where members have 96.50 %; after 200 steps of training 96.20 % and 97.00 %.",
        ),
        ([0.60, 0.958, 0.97], "need fine-tuning: 60.00 % where members have 96.50 %; 50 steps bring them to 95.80 %."),
        ([0.60, 0.7, 0.958], "need fine-tuning: 60.00 % where members have 96.50 %; 200 steps bring them to 95.80 %."),
        (
            [0.60, 0.7, 0.8],
            "need fine-tuning: 60.00 % where members have 96.50 %; 200 steps bring them to 80.00 %, still below.",
        ),
    ],
)
def test_does_the_generated_one_need_it(generated, said):
    members = {"mean": [0.965, 0.966, 0.97], "std": [0.01, 0.01, 0.01]}
    sets = {"generated": {"mean": generated, "std": [0.0] * 3}, "members": members}
    assert answer((0, 50, 200), sets, SCORES["accuracy"]) == f"The generated networks {said}"


def test_the_score_as_it_is_says_nothing_of_training():
    sets = {name: {"mean": [0.9], "std": [0.0]} for name in ("generated", "members")}
    expected = "The generated networks need no fine-tuning: 0.9000 where members have 0.9000."
    assert answer((0,), sets, SCORES["spearman"]) == expected
