"""Stage 6: are the generated networks as good as trained ones, and are they new?"""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.artifacts.members import dataset_of, is_train, open_weights, open_zoo
from stages.context import Context, torch_threads
from stages.datasets import Test, Train, load_fitting, load_test
from stages.evaluation import pictures
from stages.evaluation.canonicalization import canonicalization
from stages.evaluation.comparable import comparable
from stages.evaluation.finetune.trials import trials
from stages.evaluation.frontier import frontier, gain_over_baselines
from stages.evaluation.inputs import Material
from stages.evaluation.metrics import measure, per_network
from stages.evaluation.recorded import curves, gains, networks_per_minute
from stages.evaluation.sets import Set, sets, subject
from stages.evaluation.verdict import verdict
from stages.flow.spaces.codes import effective_rank
from stages.members.task import score_name
from stages.params.dataset import Dataset
from stages.params.evaluate import EvaluateParams
from stages.reporting.wording import score_of
from stages.store.arrays import Named, write_arrays
from stages.store.files import write_json
from stages.store.refs import Ref
from stages.store.weights import Weights

SCHEMA = 4
POINTS = 200
"""Networks per set whose own figures go into figures.json, for plots; figures.zarr has all."""
Measured = dict[str, dict[str, Any]]


def evaluate(
    zoo: Ref, canonical: Ref, packed: Ref, fitted: Ref, sampled: Ref, params: EvaluateParams, ctx: Context
) -> dict[str, Any]:
    """Measure members, held-out members, generated networks and baselines alike, on the test data.

    Each set is a unit that survives a kill. Of a zoo without data only weights are compared; of a zoo of several data sets
    the members that were trained on the generated networks' own. Writes figures.json and figures.zarr.
    Raises DataMissing, UsageError if the sampled networks' condition doesn't say which data set is theirs.
    """
    with torch_threads(ctx.threads):
        material = _material(open_weights(packed), open_weights(sampled), canonical.path, params, ctx)
        worth = _unit(ctx, "canonicalization", lambda: canonicalization(open_zoo(zoo), material))
        practice = trials(zoo, material, partial(_data, ctx))
        measured = dict(_measured(material))
        figures = _figures(material, measured) | {
            "canonicalization": worth,
            **curves(fitted.path),
            "alignment": gains(canonical.path),
            **practice,
        }
    speed = networks_per_minute(sampled.path, len(material.sampled))
    write_json(ctx.out / "figures.json", figures)
    write_arrays(ctx.out / "figures.zarr", "figures", _arrays(measured), {"tau": material.yardstick.tau})
    shutil.rmtree(ctx.out / "sets")
    told = {"verdict": figures["verdict"]["text"], **speed}
    return told | ({figures["score"]: figures["sets"]["generated"]["score"]["mean"]} if figures["score"] else {})


def _material(packed: Weights, sampled: Weights, canonical: Path, params: EvaluateParams, ctx: Context) -> Material:
    packed = comparable(packed, sampled, ctx.out / "sets")
    return Material(packed, sampled, canonical, _test(packed, ctx), params, ctx)


def _test(packed: Weights, ctx: Context) -> Test | None:
    dataset = dataset_of(packed)
    return load_test(dataset, ctx.data_root) if dataset else None


def _data(ctx: Context, dataset: Dataset) -> tuple[Train, Test]:
    """What networks are trained on and scored on in trials."""
    return load_fitting(dataset, ctx.data_root)[0], load_test(dataset, ctx.data_root)


def _unit(ctx: Context, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives; read, if it was made before a kill."""
    path = ctx.out / "sets" / f"{name.replace(' ', '-')}.json"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        write_json(path, make())
    return json.loads(path.read_text())


def _measured(material: Material) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each set's figures and its networks' own."""
    todo = sets(material)
    for i, one in enumerate(todo):
        material.ctx.progress(i / len(todo), one.name)
        yield one.name, _unit(material.ctx, one.name, lambda one=one: _measure(material, one))


def _measure(material: Material, one: Set) -> dict[str, Any]:
    found = subject(material, one)
    return {"figures": measure(found), "networks": per_network(found)}


def _figures(material: Material, measured: Measured) -> dict[str, Any]:
    """What figures.json says, apart from what other stages recorded."""
    found = {name: unit["figures"] | {"points": _first(unit["networks"])} for name, unit in measured.items()}
    packed, test, y = material.packed, material.test, material.yardstick
    variance = torch.from_numpy(packed.facts("pca/variance"))
    score = score_name(test.targets) if test else None
    plane = {"frontier": frontier(found), "gain_over_baselines": gain_over_baselines(found)} if test else {}
    return {
        "schema": SCHEMA,
        "dataset": packed.attrs["dataset"],
        "condition": material.sampled.attrs.get("condition", {}),
        "network": packed.attrs["network"],
        "parameters": packed.layout.parameters,
        "test_examples": len(test.targets) if test else None,
        "score": score,
        "bar": y.bar,
        "tolerance": y.tolerance,
        "bar_quantile": material.params.bar_quantile,
        "tau": y.tau,
        "zoo": _zoo(packed),
        "verdict": verdict(found, score_of({"score": score})),
        "sets": found,
        **plane,
        "spectrum": {
            "variance": variance.tolist(),
            "effective_rank": effective_rank(variance),
            "networks": len(y.members),
        },
        **pictures.pictures(
            packed.layout.unflatten(y.members),
            packed.layout.unflatten(material.generated),
            tuple(test.inputs.shape[1:]) if test else (),
        ),
    }


def _zoo(packed: Weights) -> dict[str, int]:
    """How many networks there are to compare with; a set's `networks` are those that were measured."""
    members = int(is_train(packed).sum())
    return {"members": members, "held-out": len(packed) - members}


def _first(networks: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: values[:POINTS] for name, values in networks.items()}


def _arrays(measured: Measured) -> dict[str, Named]:
    """Every network's own figures, one group per set."""
    return {
        f"{name.replace(' ', '-')}/{figure}": Named(("network",), np.array(values))
        for name, unit in measured.items()
        for figure, values in unit["networks"].items()
    }
