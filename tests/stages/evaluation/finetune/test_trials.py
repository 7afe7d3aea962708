"""What an evaluation's trials share, and how the zoo's own recipe is found."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from small_task import CTX, course, data, mlp, start

from stages.errors import UsageError
from stages.evaluation.finetune.recipe import recipe_for
from stages.evaluation.finetune.trials import Trials
from stages.params.dataset import Dataset, Images
from stages.params.finetune import FineTune, Transfer
from stages.params.zoo import Recipe
from stages.store.refs import Ref

BY_HAND = Ref(stage="zoo", key="0", path=Path("/nonexistent"), digest="")
STARTS = {name: lambda n: start(mlp(), n) for name in ("generated", "members")}
HOME = Images(name="mnist")
RECIPE = Recipe(lr=0.01, batch=16, epochs=9, schedule="one_cycle", warmup=0.5)


def trials(tmp_path: Path, dataset: Dataset | None = HOME) -> Trials:
    ctx = replace(CTX, out=tmp_path)
    return Trials(BY_HAND, course().complete, dataset, lambda _: data(), 0, ctx)


def test_without_sections_nothing_is_loaded(tmp_path):
    there = replace(trials(tmp_path), load=lambda _: pytest.fail("loaded"))
    assert there.finetuning(None, STARTS) | there.transfer((), STARTS) == {}
    assert list(tmp_path.iterdir()) == []


def test_one_entry_per_other_data_set_each_with_units_of_its_own(tmp_path):
    others = tuple(Transfer(dataset="fashion_mnist", epochs=e, recipe=RECIPE) for e in [(0, 1), (0, 2)])
    found = trials(tmp_path).transfer(others, STARTS)["transfer"]
    assert [one["epochs"] for one in found] == [[0, 1], [0, 2]]
    assert found[0]["sets"]["members"]["mean"][0] == found[1]["sets"]["members"]["mean"][0]
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == [
        f"transfer-{i}-{name}.json" for i in (0, 1) for name in ("generated", "members")
    ]


def test_the_recipe_of_the_section_goes_before_the_zoos(finished):
    zoo = finished[1]["zoo"][0]
    assert recipe_for(None, zoo, "evaluate.finetune") == Recipe(optimizer="adam", lr=0.02, batch=32, epochs=8)
    assert recipe_for(RECIPE, zoo, "evaluate.finetune").lr == 0.01


def test_the_learning_rate_is_constant():
    found = recipe_for(RECIPE, BY_HAND, "evaluate.finetune")
    assert (found.schedule, found.warmup, found.lr) == ("constant", 0.0, 0.01)


def test_a_zoo_of_unknown_recipe_needs_one(tmp_path):
    with pytest.raises(UsageError, match=r"evaluate\.finetune\.recipe: how the zoo's members were trained isn't known"):
        trials(tmp_path).finetuning(FineTune(), STARTS)
    with pytest.raises(UsageError, match=r"evaluate\.transfer\.recipe: how"):
        trials(tmp_path).transfer((Transfer(dataset="mnist"),), STARTS)


def test_a_zoo_without_data_can_not_be_trained_on(tmp_path):
    with pytest.raises(UsageError, match=r"evaluate\.finetune: nothing to train on, zoo\.dataset is null"):
        trials(tmp_path, None).finetuning(FineTune(recipe=RECIPE), STARTS)


@pytest.mark.parametrize("stops", [(), (0, 10, 10), (10, 0), (-1, 3)])
def test_stops_rise(stops):
    with pytest.raises(ValidationError):
        FineTune(steps=stops)
    with pytest.raises(ValidationError):
        Transfer(dataset="mnist", epochs=stops)
