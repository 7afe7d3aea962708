"""The time that each stage takes: by the nearest earlier run in the store, or by rates that were measured elsewhere."""

import math
import platform
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipeline.config import Experiment
from pipeline.estimates.scale import LARGEST, Scale, scale_of
from pipeline.runner import Planned
from stages.errors import DwfError
from stages.params.base import Params
from stages.params.sample import SampleParams
from stages.params.zoo import Recipe, ZooParams
from stages.store.artifact import FOLDERS, artifact_path
from stages.store.manifest import MANIFEST, Manifest, read_manifest
from stages.store.refs import Ref

START = {"zoo": 2.0, "canonicalize": 0.5, "pack": 0.2, "fit": 0.5, "sample": 0.2, "evaluate": 4.0, "report": 4.0}
"""Seconds of a stage however little there is to do."""
RATES = {"zoo": 1e10, "canonicalize": 2e6, "pack": 1e7, "fit": 5e9, "sample": 5e9, "evaluate": 1e9, "report": 1e9}
"""Units of `work` in a second on one core: on the safe side."""
STEP = 4e6
"""Work of a training step of the flow, in multiplications, however small it is."""
ALIGNED = 1000
"""Work of aligning a network to a member and comparing the two, in multiplications for each parameter."""
CALLS = {"euler": 1, "heun": 2, "rk4": 4}
"""Calls of the velocity network in a step of each solver."""
LOOKED_AT = 8
"""Earlier runs of a stage that are looked at, the newest first."""
FAR = 100
"""A run of this many times as much work, or as little, says nothing about another one."""


class Seconds(NamedTuple):
    """An estimate of a stage's seconds, and whether earlier runs in the store gave it."""

    seconds: float
    measured: bool


class _Earlier(NamedTuple):
    work: float
    seconds: float


def work(stage: str, scale: Scale) -> float | None:
    """How much a stage has to do, in multiplications or in weights to be moved; None if only running it would tell."""
    return float(min(amount, LARGEST)) if (amount := _work(stage, scale)) is not None else None


def _work(stage: str, scale: Scale) -> int | float | None:
    experiment, network = scale.experiment, scale.network
    weights = scale.packed * network.values
    match stage:
        case "zoo":
            return _training(experiment, scale)
        case "canonicalize":
            return weights
        case "pack":
            few = min(scale.packed, network.parameters)
            return weights + weights * few // 1000
        case "fit":
            return 3 * scale.fit.steps * (scale.fit.batch * scale.velocity.products + int(STEP))
        case "sample":
            sample = experiment.sample
            calls = sample.steps * CALLS[sample.method] if isinstance(sample, SampleParams) else 0
            each = calls * (scale.velocity.products if experiment.fits else 0) + network.values
            return min(scale.generated * each, LARGEST) * min(1 / sample.keep_fraction, LARGEST)
        case "evaluate":
            params = experiment.evaluate
            measured = scale.packed + scale.generated + scale.baselines * params.baseline_networks
            each = scale.examples[1] * network.products + ALIGNED * (1 + params.align_to_nearest) * network.parameters
            return measured * each
        case _:
            return 0


def _training(experiment: Experiment, scale: Scale) -> int | None:
    """Multiplications of training the zoo; of reading one, its weights. None for a function of the user's own."""
    zoo = experiment.zoo
    if not isinstance(zoo, ZooParams):
        return 1000 * scale.packed * scale.network.values
    if not isinstance(zoo.recipe, Recipe):
        return None
    return 3 * scale.packed * zoo.recipe.epochs * scale.examples[0] * scale.network.products


def seconds(stage: str, scale: Scale) -> Seconds | None:
    """About how long a stage takes; None if only running it would tell."""
    amount = work(stage, scale)
    if amount is None:
        return None
    root, start = scale.experiment.store_root, START[stage]
    near = [run for run in _earlier(root, stage, scale) if amount / FAR <= run.work <= amount * FAR or not amount]
    if not near:
        return Seconds(start + amount / (RATES[stage] * scale.experiment.threads**0.5), measured=False)
    nearest = min(near, key=lambda run: abs(math.log((run.work + 1) / (amount + 1))))
    beyond = max(0.0, nearest.seconds - start) * (amount / nearest.work if nearest.work else 1)
    return Seconds(min(start, nearest.seconds) + beyond, measured=True)


def _earlier(root: Path, stage: str, scale: Scale) -> Iterator[_Earlier]:
    """The newest runs of a stage on such a device, with how much each had to do."""
    written = sorted(_manifests(root / FOLDERS[stage]), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in islice(written, LOOKED_AT):
        try:
            manifest = read_manifest(path.parent)
            amount = work(stage, _scale_then(root, manifest, scale)) if _alike(manifest, scale.experiment) else None
        except (DwfError, ValidationError, OSError, KeyError, TypeError):  # of another release, or half there
            continue
        if amount is not None:
            yield _Earlier(amount, manifest.seconds)


def _manifests(folder: Path) -> Sequence[Path]:
    return [path for path in folder.glob(f"*/{MANIFEST}") if path.is_file()]


def _alike(manifest: Manifest, experiment: Experiment) -> bool:
    """Whether it was run on the kind of device that is chosen now; `auto` may be any."""
    on_cpu = manifest.device in (platform.processor(), platform.machine())
    return experiment.device == "auto" or on_cpu == (experiment.device == "cpu")


def _scale_then(root: Path, manifest: Manifest, scale: Scale) -> Scale:
    """The scale of the experiment that an artifact is of, as far as the artifact depends on it."""
    of: dict[str, Manifest] = {manifest.stage: manifest}
    for name, key in manifest.upstream.items():
        stage = {"canonical": "canonicalize", "packed": "pack", "fitted": "fit", "sampled": "sample"}.get(name, name)
        of[stage] = read_manifest(artifact_path(root, stage, key))
    if "zoo" not in of and "pack" in of:
        of["zoo"] = read_manifest(artifact_path(root, "zoo", of["pack"].upstream["zoo"]))
    sections: dict[str, Any] = {name: then.params for name, then in of.items() if name not in ("report",)}
    now: dict[str, Params] = {name: getattr(scale.experiment, name) for name in ("fit", "sample", "evaluate")}
    experiment = Experiment.model_validate({**now, **sections, "device": scale.experiment.device})
    zoo = of["zoo"]
    ref = Ref(stage="zoo", key=zoo.key, path=artifact_path(root, "zoo", zoo.key), digest=zoo.digest)
    found = scale_of(experiment, [Planned("zoo", zoo.key, ref.path, ref, "")])
    assert found is not None, "a manifest says how large networks are"
    return found
