"""An evaluation's fine-tuning and transfer: sets, steps and epochs, the recipe, and work kept across a kill."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError
from small_task import CTX, data, fine_tune_run, mlp, untrained

from stages.errors import UsageError
from stages.evaluation.finetune.fine_tune_run import cached
from stages.evaluation.finetune.trials import Trials, constant_rate_recipe, fine_tuning
from stages.params.dataset import Dataset, Images
from stages.params.evaluate import FineTune, Transfer
from stages.params.zoo import Recipe
from stages.store.refs import Ref

BY_HAND = Ref(stage="zoo", key="0", path=Path("/nonexistent"), digest="")
STARTS = {name: lambda n: untrained(mlp(), n) for name in ("generated", "members")}
HOME = Images(name="mnist")
RECIPE = Recipe(lr=0.01, batch=16, epochs=9, schedule="one_cycle", warmup=0.5)


def trials(tmp_path: Path, dataset: Dataset | None = HOME) -> Trials:
    ctx = replace(CTX, out=tmp_path)
    return Trials(BY_HAND, fine_tune_run().completion, dataset, lambda _: data(), 0, ctx)


def test_without_sections_nothing_is_loaded(tmp_path):
    without = replace(trials(tmp_path), load=lambda _: pytest.fail("loaded"))
    assert without.fine_tuning(None, STARTS) is None
    assert without.transfer((), STARTS) == []
    assert list(tmp_path.iterdir()) == []


def test_one_entry_per_other_data_set_each_with_units_of_its_own(tmp_path):
    others = tuple(Transfer(dataset="fashion_mnist", epochs=e, recipe=RECIPE) for e in [(0, 1), (0, 2)])
    runs = trials(tmp_path).transfer(others, STARTS)
    assert [run.epochs for run in runs] == [[0, 1], [0, 2]]
    assert runs[0].sets["members"].mean[0] == runs[1].sets["members"].mean[0]
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == [
        f"transfer-{i}-{name}.json" for i in (0, 1) for name in ("generated", "members")
    ]


def test_the_recipe_of_the_section_goes_before_the_zoos(finished):
    zoo = finished[1]["zoo"][0]
    assert constant_rate_recipe(None, zoo, "evaluate.finetune") == Recipe(optimizer="adam", lr=0.02, batch=32, epochs=8)
    assert constant_rate_recipe(RECIPE, zoo, "evaluate.finetune").lr == 0.01


def test_the_learning_rate_is_constant():
    recipe = constant_rate_recipe(RECIPE, BY_HAND, "evaluate.finetune")
    assert (recipe.schedule, recipe.warmup, recipe.lr) == ("constant", 0.0, 0.01)


def test_a_zoo_of_unknown_recipe_needs_one(tmp_path):
    with pytest.raises(UsageError, match=r"evaluate\.finetune\.recipe: how the zoo's members were trained isn't known"):
        trials(tmp_path).fine_tuning(FineTune(), STARTS)
    with pytest.raises(UsageError, match=r"evaluate\.transfer\.recipe: how"):
        trials(tmp_path).transfer((Transfer(dataset="mnist"),), STARTS)


def test_a_zoo_without_data_can_not_be_trained_on(tmp_path):
    with pytest.raises(UsageError, match=r"evaluate\.finetune: nothing to train on, zoo\.dataset is null"):
        trials(tmp_path, None).fine_tuning(FineTune(recipe=RECIPE), STARTS)


@pytest.mark.parametrize("at", [(), (0, 10, 10), (10, 0), (-1, 3)])
def test_steps_and_epochs_must_rise(at):
    with pytest.raises(ValidationError):
        FineTune(steps=at)
    with pytest.raises(ValidationError):
        Transfer(dataset="mnist", epochs=at)


STEPS = FineTune(steps=(0, 5, 60), networks=2)


def test_every_set_is_scored_at_every_step(tmp_path):
    """A generator that returns the members has the members' scores."""
    rows, run = untrained(mlp()), fine_tune_run()
    starts = {"generated": lambda n: rows[:n], "members": lambda n: rows[:n], "fresh": lambda n: untrained(mlp(), n, 3)}
    figures = fine_tuning(STEPS, starts, run, partial(cached, tmp_path, "finetune"))
    assert (figures.steps, figures.networks, list(figures.sets)) == ([0, 5, 60], 2, list(starts))
    assert figures.sets["generated"] == figures.sets["members"] != figures.sets["fresh"]
    assert figures.sets["members"].mean == run.scores(rows[:2], (0, 5, 60)).mean(1).tolist()
    assert figures.sets["members"].mean[2] > 0.7


def test_a_set_that_was_scored_before_is_not_trained_again(tmp_path):
    cache = partial(cached, tmp_path, "finetune")
    before = fine_tuning(STEPS, STARTS, fine_tune_run(), cache)
    never = {name: lambda n: pytest.fail("trained again") for name in STARTS}
    assert fine_tuning(STEPS, never, fine_tune_run(), cache) == before
