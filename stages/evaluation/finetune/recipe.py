"""How networks are trained on: by a recipe of their own or as the zoo was, at a constant learning rate."""

from stages.errors import NotComplete, UsageError
from stages.params.zoo import Recipe
from stages.store.artifact import read_manifest
from stages.store.refs import Ref


def recipe_for(own: Recipe | None, zoo: Ref, section: str) -> Recipe:
    """The recipe that `section` of the configuration gives or, for None, the zoo's, without schedule and warmup.

    Raises UsageError for a zoo that somebody else trained.
    """
    recipe = own or _of_zoo(zoo)
    if recipe is None:
        raise UsageError(
            f"{section}.recipe: how the zoo's members were trained isn't known; say how to train them on, e.g. "
            "recipe: {lr: 0.001, batch: 64, epochs: 1}"
        )
    return recipe.model_copy(update={"schedule": "constant", "warmup": 0.0})


def _of_zoo(zoo: Ref) -> Recipe | None:
    try:
        found = read_manifest(zoo.path).params.get("recipe")
    except NotComplete:  # a stage called by hand, outside any store
        return None
    return Recipe.model_validate(found) if found else None
