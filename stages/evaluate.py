"""Stage 6: are the generated networks as good as trained ones, and are they new?"""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel

from stages.artifacts.members import dataset_of, open_weights, open_zoo
from stages.context import Context, torch_threads
from stages.datasets import Test, Train, describe_inputs, load_fitting, load_test
from stages.evaluation.canonicalization import canonicalization
from stages.evaluation.figure_parts import Canonicalization, Spectrum
from stages.evaluation.figures import Figures, SetFigures, ZooSize
from stages.evaluation.finetune.trials import trials
from stages.evaluation.frontier import frontier, gain_over_baselines
from stages.evaluation.inputs import EvaluationInputs, comparable
from stages.evaluation.metrics import METRICS
from stages.evaluation.metrics.performance import score
from stages.evaluation.other_generator import cautions
from stages.evaluation.outliers import check_outliers
from stages.evaluation.sets import SetToMeasure, sets
from stages.evaluation.upstream import alignment, curves, recorded_summary
from stages.evaluation.verdict import verdict
from stages.evaluation.weight_views import filters, histograms
from stages.flow.spaces.codes import effective_rank
from stages.params.dataset import Dataset, dataset_from
from stages.params.evaluate import EvaluateParams
from stages.params.network import network_from
from stages.params.own_data import OwnDataset
from stages.scores import score_name
from stages.store.arrays import Named, write_arrays
from stages.store.refs import Ref
from stages.store.units import kept
from stages.store.weights import UNKNOWN, Weights, is_train

T = TypeVar("T", bound=BaseModel)
POINTS = 200
"""Networks per set whose own values go into figures.json, for plots; figures.zarr has all."""


class MeasuredSet(BaseModel):
    """A set's figures, and by metric the values of all its networks."""

    figures: SetFigures
    values: dict[str, list[int] | list[float]]


def evaluate(
    zoo: Ref, canonical: Ref, packed: Ref, fitted: Ref | None, sampled: Ref, params: EvaluateParams, ctx: Context
) -> dict[str, Any]:
    """Measure members, held-out members, generated networks and baselines alike, on the test data.

    Each set is a unit that survives a kill. Of a zoo without data only weights are compared; of a zoo of several data
    sets the members that were trained on the generated networks' own. `fitted` is None for another generator's
    networks. Writes figures.json and figures.zarr. Raises DataMissing, UsageError if the sampled networks' condition
    doesn't say which data set is theirs, FunctionChanged.
    """
    with torch_threads(ctx.threads):
        inputs = _inputs(open_weights(packed), open_weights(sampled), canonical.path, params, ctx)
        effects = _unit(ctx, "canonicalization", Canonicalization, lambda: canonicalization(open_zoo(zoo), inputs))
        finetuning, transfer = trials(zoo, inputs, partial(_train_and_test, ctx))
        measured = dict(_measured(inputs))
        fit_curves, samples = curves(fitted.path if fitted else None)
        figures = _figures(inputs, {name: unit.figures for name, unit in measured.items()}).model_copy(
            update={
                "canonicalization": effects,
                "warnings": (*recorded_summary(zoo.path).get("warnings", ()), *cautions(inputs.other_generator)),
                "alignment": alignment(canonical.path),
                "curves": fit_curves,
                "watched": samples,
                "finetuning": finetuning,
                "transfer": transfer,
            }
        )
    figures.write(ctx.out)
    write_arrays(ctx.out / "figures.zarr", "figures", _arrays(measured), {"tau": inputs.reference.tau})
    shutil.rmtree(ctx.out / "sets")
    scores = score.of(figures.sets["generated"])
    answers = figures.verdict.model_dump()
    return answers | ({str(figures.score): scores.mean} if scores else {})


def _inputs(
    packed: Weights, sampled: Weights, canonical: Path, params: EvaluateParams, ctx: Context
) -> EvaluationInputs:
    packed = comparable(packed, sampled, ctx.out / "sets")
    dataset = dataset_of(packed)
    test, outliers = load_test(dataset, ctx.data_root) if dataset else None, None
    if test and params.ood:
        outliers = load_test(params.ood, ctx.data_root)
        check_outliers(params.ood.name, test, outliers)
    return EvaluationInputs(packed, sampled, canonical, test, params, ctx, outliers)


def _train_and_test(ctx: Context, dataset: Dataset) -> tuple[Train, Test]:
    """What networks are fine-tuned on and scored on."""
    return load_fitting(dataset, ctx.data_root)[0], load_test(dataset, ctx.data_root)


def _unit(ctx: Context, name: str, kind: type[T], compute: Callable[[], T]) -> T:
    """What `compute` gives; read, if it was computed before a kill."""
    path = ctx.out / "sets" / f"{name.replace(' ', '-')}.json"
    return kind.model_validate(kept(path, lambda: compute().model_dump(mode="json", by_alias=True)))


def _measured(inputs: EvaluationInputs) -> Iterator[tuple[str, MeasuredSet]]:
    """Each set's figures and its networks' own values."""
    todo = sets(inputs)
    for i, chosen in enumerate(todo):
        inputs.ctx.progress(i / len(todo), chosen.name)
        yield chosen.name, _unit(inputs.ctx, chosen.name, MeasuredSet, partial(_measure, inputs, chosen))


def _measure(inputs: EvaluationInputs, chosen: SetToMeasure) -> MeasuredSet:
    """Every metric of one set; those that it doesn't have, or that need data, are left out."""
    networks, figures, values = chosen.measured(inputs), {}, {}
    for name, metric in METRICS.items():
        figure, per_network = metric.measure(networks)
        if figure is not None:
            figures[name] = figure
        if metric.points and per_network is not None:
            values[metric.points] = per_network
    facts = {
        "role": chosen.role,
        "family": networks.family,
        "any_strength": chosen.baseline is not None and chosen.baseline.any_strength,
        "networks": len(networks.rows),
    }
    points = {name: per_network[:POINTS] for name, per_network in values.items()}
    return MeasuredSet(figures=SetFigures(**facts, points=points, **figures), values=values)


def _figures(inputs: EvaluationInputs, measured: dict[str, SetFigures]) -> Figures:
    """What was measured here, apart from what other stages recorded."""
    packed, test, reference = inputs.packed, inputs.test, inputs.reference
    variance, train = torch.from_numpy(packed.facts("pca/variance")), int(is_train(packed).sum())
    members, generated = packed.layout.unflatten(reference.members), packed.layout.unflatten(inputs.generated)
    description = packed.attrs["dataset"]
    dataset = dataset_from(description) if description else None
    return Figures(
        dataset=dataset.placeless() if isinstance(dataset, OwnDataset) else dataset,
        condition=inputs.sampled.attrs.get("condition", {}),
        network=network_from(packed.attrs["network"]),
        parameters=packed.layout.size,
        test_examples=len(test.targets) if test else None,
        ood=inputs.params.ood if inputs.outliers else None,
        inputs=describe_inputs(dataset) if dataset else None,
        imported=UNKNOWN in packed.facts("initialisation"),
        score=score_name(test.targets) if test else None,
        bar=reference.bar,
        tolerance=reference.tolerance,
        bar_quantile=inputs.params.bar_quantile,
        tau=reference.tau,
        relabelled=inputs.params.align_to_nearest > 0,
        group=packed.attrs.get("group"),
        zoo=ZooSize(members=train, heldout=len(packed) - train),
        generator=inputs.other_generator,
        verdict=verdict(measured, inputs.other_generator),
        sets=measured,
        frontier=frontier(measured) if test else None,
        gain_over_baselines=gain_over_baselines(measured) if test else None,
        spectrum=Spectrum(
            variance=variance.tolist(), effective_rank=effective_rank(variance), networks=len(reference.members)
        ),
        histograms=histograms(members, generated),
        filters=filters(members, generated, tuple(test.inputs.shape[1:]) if test else ()),
    )


def _arrays(measured: dict[str, MeasuredSet]) -> dict[str, Named]:
    """Every network's own values, one group per set."""
    return {
        f"{name.replace(' ', '-')}/{metric}": Named(("network",), np.array(values))
        for name, unit in measured.items()
        for metric, values in unit.values.items()
    }
