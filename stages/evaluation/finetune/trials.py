"""All fine-tuning and transfer that an evaluation asks for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from stages.context import Context
from stages.datasets import Test, Train
from stages.errors import NotComplete, UsageError
from stages.evaluation.baselines.fresh import fresh_networks
from stages.evaluation.baselines.soup import soups
from stages.evaluation.figure_parts import FineTuning
from stages.evaluation.figure_parts import Transfer as TransferFigures
from stages.evaluation.finetune.fine_tune_run import Cache, FineTuneRun, Scores, Starts, cached, score_curve
from stages.evaluation.finetune.transfer import transfer
from stages.evaluation.inputs import EvaluationInputs
from stages.members.draws import Seeds
from stages.params.dataset import Dataset, dataset_from
from stages.params.evaluate import FineTune, Transfer
from stages.params.zoo import Recipe
from stages.sampling.completion import Completion
from stages.seeds import generator, seed_of
from stages.store.manifest import read_manifest
from stages.store.refs import Ref

Load = Callable[[Dataset], tuple[Train, Test]]


def trials(zoo: Ref, inputs: EvaluationInputs, load: Load) -> tuple[FineTuning | None, list[TransferFigures]]:
    """The scores along fine-tuning and transfer, as far as an evaluation asks for them.

    Raises UsageError where the zoo or the data don't allow one.
    """
    params, description = inputs.params, inputs.packed.attrs["dataset"]
    dataset = dataset_from(description) if description else None
    asked = Trials(zoo, inputs.completion, dataset, load, params.seed, inputs.ctx)
    home = starts(inputs, params.finetune.soup_size if params.finetune else None)
    return asked.fine_tuning(params.finetune, home), asked.transfer(params.transfer, starts(inputs))


def starts(inputs: EvaluationInputs, soup_size: int | None = None) -> Starts:
    """The sets that are trained, in the order of the report; soups of so many members if a size is given."""
    with_soups: Starts = {}
    if soup_size is not None:
        size, draw = min(soup_size, len(inputs.members)), generator(inputs.params.seed, "finetune soup")
        with_soups = {"soup": lambda count: soups(inputs.members, size, count, draw)}
    return {
        "generated": lambda count: inputs.generated[:count],
        "members": lambda count: inputs.members[:count],
        **with_soups,
        "fresh": partial(fresh_networks, inputs),
    }


@dataclass(frozen=True)
class Trials:
    """What the trials of one evaluation share; `load` gives a data set's training and test examples.

    `dataset` is the zoo's own, None where it has none. `seed` is the evaluation's.
    """

    zoo: Ref
    completion: Completion
    dataset: Dataset | None
    load: Load
    seed: int
    ctx: Context

    def fine_tuning(self, params: FineTune | None, starts: Starts) -> FineTuning | None:
        """Scores along further training on the zoo's own data; None if not asked for."""
        if params is None:
            return None
        self._check("finetune")
        return fine_tuning(params, starts, self._run("finetune", params.recipe), self._cache("finetune"))

    def transfer(self, params: tuple[Transfer, ...], starts: Starts) -> list[TransferFigures]:
        """Scores on every other data set that is asked for."""
        if params:
            self._check("transfer")
        return [self._transfer(i, section, starts) for i, section in enumerate(params)]

    def _transfer(self, index: int, params: Transfer, starts: Starts) -> TransferFigures:
        run = self._run(f"transfer {params.dataset.name}", params.recipe)
        return transfer(params, starts, run, *self.load(params.dataset), self._cache(f"transfer-{index}"))

    def _check(self, section: str) -> None:
        if self.dataset is None:
            raise UsageError(f"evaluate.{section}: nothing to train on, zoo.dataset is null; leave the section out")

    @cached_property
    def _home(self) -> tuple[Train, Test]:
        assert self.dataset is not None
        return self.load(self.dataset)

    def _run(self, name: str, recipe: Recipe | None) -> FineTuneRun:
        constant = constant_rate_recipe(recipe, self.zoo, f"evaluate.{name.split()[0]}")
        progress = self.ctx.progress
        ctx = replace(self.ctx, progress=lambda fraction, note: progress(fraction, f"{name}: {note}"))
        return FineTuneRun(self.completion, *self._home, constant, Seeds(seed_of(self.seed, name)), ctx)

    def _cache(self, run: str) -> Cache:
        folder = self.ctx.out / "sets"
        folder.mkdir(exist_ok=True)
        return partial(cached, folder, run)


def fine_tuning(params: FineTune, starts: Starts, run: FineTuneRun, cache: Cache) -> FineTuning:
    """Test scores of every set at every step; sets that were scored before a kill are not trained again."""

    def scores(name: str) -> Scores:
        return run.scores(starts[name](params.networks), params.steps)

    sets = {name: score_curve(cache(name, partial(scores, name))) for name in starts}
    return FineTuning(steps=list(params.steps), networks=params.networks, sets=sets)


def constant_rate_recipe(own: Recipe | None, zoo: Ref, section: str) -> Recipe:
    """The recipe that `section` of the configuration gives or, for None, the zoo's, without schedule and warmup.

    Raises UsageError for a zoo that somebody else trained.
    """
    recipe = own
    if recipe is None:
        try:
            params = read_manifest(zoo.path).params.get("recipe")
        except NotComplete:  # a stage called by hand, outside any store
            params = None
        if params and "kind" in params:
            raise UsageError(
                f"{section}.recipe: the zoo's members were trained by a function of its own ({params['train']}), which "
                "can't train others further; say how to, e.g. recipe: {lr: 0.001, batch: 64, epochs: 1}"
            )
        recipe = Recipe.model_validate(params) if params else None
    if recipe is None:
        raise UsageError(
            f"{section}.recipe: how the zoo's members were trained isn't known; say how to train them, e.g. "
            "recipe: {lr: 0.001, batch: 64, epochs: 1}"
        )
    return recipe.model_copy(update={"schedule": "constant", "warmup": 0.0})
