"""Made-up figures of an evaluation and facts of its run, for what shows them."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from stages.evaluation import figure_parts as parts
from stages.evaluation.figure_parts import ScoreCurve
from stages.evaluation.figures import Figures, SetFigures, Summary, Verdict, ZooSize
from stages.evaluation.metric import summary
from stages.evaluation.metrics.performance import EnsembleCurve
from stages.evaluation.metrics.two_sample import Discrepancy, Separability, TwoSample
from stages.params.dataset import Images
from stages.params.network import MLP
from stages.reporting.lineage import Run, StageFacts

MARGINS = (0.25, 0.5, 1.0, 2.0)
TENSORS = [f"layers.{i}.{tensor}" for i in range(3) for tensor in ("weight", "bias")]


class Level(NamedTuple):
    """Means of a made-up set: accuracy, max-IoU, and distance in tau."""

    role: Literal["members", "held-out", "generated", "baseline"]
    family: str | None
    accuracy: float
    max_iou: float
    distance: float


LEVELS = {
    "members": Level("members", None, 0.963, 0.42, 1.0),
    "held-out": Level("held-out", None, 0.962, 0.42, 1.02),
    "generated": Level("generated", None, 0.962, 0.95, 0.02),
    "noise 0.02": Level("baseline", "noise", 0.963, 0.97, 0.02),
    "noise 0.05": Level("baseline", "noise", 0.962, 0.9, 0.05),
    "noise 0.2": Level("baseline", "noise", 0.94, 0.6, 0.2),
    "noise 0.5": Level("baseline", "noise", 0.55, 0.15, 0.5),
    "interpolation 0.1": Level("baseline", "interpolation", 0.962, 0.8, 0.12),
    "interpolation 0.5": Level("baseline", "interpolation", 0.93, 0.4, 0.6),
    "soup 2": Level("baseline", "soup", 0.94, 0.4, 0.7),
    "soup 4": Level("baseline", "soup", 0.9, 0.3, 0.85),
    "gaussian null": Level("baseline", "gaussian", 0.12, 0.11, 1.3),
    "retrieval": Level("baseline", "retrieval", 0.963, 1.0, 0.0),
    "fresh": Level("baseline", "fresh", 0.962, 0.42, 1.02),
}


def _summary(values: np.ndarray) -> Summary:
    return summary(torch.from_numpy(values))


def _set(rng: np.random.Generator, networks: int, level: Level) -> SetFigures:
    accuracies = np.clip(level.accuracy + (1.02 - level.accuracy) * 0.05 * rng.standard_normal(networks), 0, 1)
    ious = np.clip(level.max_iou + 0.03 * rng.standard_normal(networks), 0, 1)
    distances = level.distance * np.exp(0.08 * rng.standard_normal(networks))
    performant = accuracies >= 0.958
    metrics: dict[str, Any] = {
        "distance_in_tau": float(np.median(distances)),
        "score": _summary(accuracies),
        "loss": _summary(-np.log(np.clip(accuracies, 0.1, 1))),
        "max_iou": _summary(ious),
        "distance": _summary(22.9 * distances),
        "nearest_members_hit": 57,
        "novel_and_performant": {str(m): float((performant & (distances >= m)).mean()) for m in MARGINS},
        "ensemble_score": float(accuracies.max()) + 0.005,
        "dispersion": 1.0,
        **_distribution(rng, level, distances),
    }
    if level.role != "baseline":
        metrics["ensemble_curve"] = _ensembles(level.accuracy, 0.001 if level.role == "generated" else 0.012)
    if level.family == "noise":
        metrics["ensemble_curve"] = _ensembles(level.accuracy, 0.002)
    if level.role != "held-out":
        metrics["data_copying"] = 9.0 * min(level.distance - 1.02, 1.0)
    nearest = accuracies if level.distance < 0.1 else 0.963 + 0.002 * rng.standard_normal(networks)
    points = {"score": accuracies.tolist(), "distance_in_tau": distances.tolist(), "max_iou": ious.tolist()}
    points["nearest_member_score"] = nearest.tolist()
    metrics["nearest_member_score"] = _summary(nearest)
    any_strength = level.family in ("noise", "interpolation")
    return SetFigures(
        role=level.role, family=level.family, any_strength=any_strength, networks=networks, points=points, **metrics
    )


def _distribution(rng: np.random.Generator, level: Level, distances: np.ndarray) -> dict[str, Any]:
    """Metrics of how like the members' a set is distributed."""
    metrics: dict[str, Any] = {
        "ece": _summary(0.01 + 0.002 * rng.random(len(distances))),
        "per_class": np.clip(level.accuracy + 0.01 * rng.standard_normal(10), 0, 1).tolist(),
        "distance_quotient": _summary(20.1 * distances),
        "distance_normalised": _summary(118.0 * distances),
        "duplicates": 2 if level.role == "generated" else 0,
        "wasserstein": abs(1.0 - level.distance),
        "jensen_shannon": min(1.0, abs(1.0 - level.distance)),
        "dispersion_by_direction": np.exp(0.05 * rng.standard_normal(99)).tolist(),
    }
    return metrics if level.role == "members" else metrics | {"two_sample": _two_sample(rng, level.distance)}


def _two_sample(rng: np.random.Generator, distance: float) -> TwoSample:
    """Tests of a set this far away, in tau."""
    aucs = [min(0.98, 0.5 + 0.5 * abs(1.02 - distance) + 0.04 * rng.random()) for _ in range(2)]
    weights, outputs = (Separability(auc=auc, low=auc - 0.07, high=min(auc + 0.07, 1.0)) for auc in aucs)
    return TwoSample(
        weights=weights, outputs=outputs, mmd=Discrepancy(value=0.01, p=0.43 if distance > 0.95 else 0.002)
    )


def _ensembles(accuracy: float, gain: float) -> EnsembleCurve:
    """Curves against size that level off."""
    sizes = [1, 2, 5, 10, 20, 50, 100, 200]
    levelling = [1 - 1 / size**0.5 for size in sizes]
    return EnsembleCurve(
        sizes=sizes,
        score=[accuracy + gain * r for r in levelling],
        loss=[0.13 - 2 * gain * r for r in levelling],
        ece=[0.01 + 0.3 * gain * r for r in levelling],
        brier=[0.06 - gain * r for r in levelling],
        ood_auroc=[0.91 + 2 * gain * r for r in levelling],
    )


def _learning_curves(lowest: dict[str, float], times: int, highest: float = 0.965) -> dict[str, ScoreCurve]:
    """Learning curves from several starts, each slower the lower it begins."""
    gaps = {name: (highest - low) * 0.3 ** np.arange(times) for name, low in lowest.items()}
    return {
        name: ScoreCurve(mean=(highest - gap).tolist(), std=(0.003 + 0.05 * gap).tolist()) for name, gap in gaps.items()
    }


def _curves(rng: np.random.Generator) -> parts.Curves:
    """Losses that fall, and a dispersion that rises to one."""
    steps = np.arange(0.0, 20_000.0, 20.0)
    falling = 2 * np.exp(-steps / 3000) + 0.2
    return parts.Curves(
        step=steps.tolist(),
        loss=(falling * np.exp(0.1 * rng.standard_normal(len(steps)))).tolist(),
        heldout_loss=(falling + 0.1).tolist(),
        dispersion=(1 - np.exp(-steps / 2000)).tolist(),
    )


def _histograms() -> parts.Histograms:
    bell: list[float] = np.exp(-((np.linspace(-0.5, 0.5, 60) + 0.01) ** 2) * 30).tolist()
    edges = {name: np.linspace(-0.5, 0.5, 61).tolist() for name in TENSORS}
    members, generated = (dict.fromkeys(TENSORS, densities) for densities in (bell, bell[::-1]))
    return parts.Histograms(edges=edges, members=members, generated=generated)


def _filters(rng: np.random.Generator) -> parts.Filters:
    disk = np.exp(-((np.mgrid[-1:1:28j, -1:1:28j] ** 2).sum(0)) * 3).ravel()
    members, generated = ([(disk * rng.standard_normal(784)).tolist() for _ in range(8)] for _ in range(2))
    return parts.Filters(side=28, tensor=TENSORS[0], members=members, generated=generated)


def made_up(networks: int = 100) -> Figures:
    """Figures as an evaluation of MNIST networks could give them, all of them; `model_copy(update=...)` changes some.

    `networks` are measured of each set.
    """
    rng = np.random.default_rng(1)
    before = 40 + rng.standard_normal(networks)
    filters = _filters(rng)
    sets = {name: _set(rng, networks, level) for name, level in LEVELS.items()}
    return Figures(
        dataset=Images(name="mnist"),
        ood=Images(name="fashion_mnist"),
        network=MLP(widths=(784, 32, 32, 10)),
        parameters=26506,
        test_examples=10000,
        score="accuracy",
        bar=0.958,
        tau=22.9,
        zoo=ZooSize(members=networks, heldout=networks),
        verdict=Verdict(accurate=True, new=False),
        sets=sets,
        frontier=parts.Frontier(
            distance=[0.0, 0.05, 0.12, 0.2, 0.6, 1.3],
            score=[0.963, 0.963, 0.962, 0.95, 0.93, 0.12],
            name=["noise"] * 6,
        ),
        gain_over_baselines=parts.Gain(at=0.02, gain=-0.0012, rival="noise"),
        spectrum=parts.Spectrum(
            variance=[*(5 * 0.985 ** np.arange(networks - 1)).tolist(), 0.0],
            effective_rank=0.8 * networks,
            networks=networks,
        ),
        histograms=_histograms(),
        filters=filters,
        canonicalization=parts.Canonicalization(
            spectrum=parts.Flatness(ev0_over_median=2.1, effective_rank=96.6, k=99),
            barrier_before=1.83,
            barrier_after=0.41,
            score_before=0.9631,
            score_after=0.9631,
            score_undone=0.963,
            largest_change=0.0001,
            bit_exact=True,
            pca_round_trip=parts.RoundTrip(
                k=[1, 10, 50, 90, 99], raw=[0.11, 0.13, 0.3, 0.8, 0.963], aligned=[0.2, 0.45, 0.8, 0.95, 0.963]
            ),
        ),
        alignment=parts.Alignment(
            distance_before=[0.0, *before[1:].tolist()],
            distance_after=[0.0, *(before[1:] * 0.8).tolist()],
            largest_output_gap=1e-15,
            unpermuted=["aten.sort: no rule for this operation (2 x); what it touches keeps its order"],
        ),
        curves=_curves(rng),
        watched=parts.Samples(
            step=[200, 400, 600],
            score=[0.6, 0.9, 0.95],
            score_std=[0.1, 0.05, 0.02],
            novelty=[2.0, 1.3, 1.1],
            novel_and_performant=[0.0, 0.1, 0.5],
        ),
        finetuning=parts.FineTuning(
            steps=[0, 10, 50, 200],
            networks=10,
            sets=_learning_curves({"generated": 0.962, "members": 0.963, "soup": 0.85, "fresh": 0.1}, 4),
        ),
        transfer=[
            parts.Transfer(
                dataset=name,
                epochs=[0, 1, 2, 5],
                networks=10,
                new_head=False,
                sets=_learning_curves({"generated": 0.48, "members": 0.52, "fresh": 0.1}, 4, 0.87),
            )
            for name in ("fashion_mnist", "digits")
        ],
    )


SUMMARIES: dict[str, dict[str, Any]] = {
    "canonicalize": {
        "groups": 2,
        "log10_relabellings": 70.9,
        "largest_output_gap": 1.2e-15,
        "distance_gain": 0.0908,
        "pairwise_distance": 21.1,
        "barrier_before": 1.83,
        "barrier_after": 0.41,
        "matching_seconds": 2.994,
    },
}
STAGES = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate")
RUN = Run(
    experiment="mnist_mlp",
    created="2026-11-23T16:02:07Z",
    lineage=tuple(
        StageFacts(stage, f"{i:x}" * 16, 74.2 * i, SUMMARIES.get(stage, {"members": 100, "accuracy": 0.9631}))
        for i, stage in enumerate(STAGES, 1)
    ),
    config="zoo:\n  members: 100\n  note: " + "long " * 60,
    seeds={"zoo.seed": 0, "fit.seed": 3},
    hardware={"device": "cpu", "threads": 2, "processor": "Intel(R) Xeon(R) Processor @ 2.10GHz"},
    versions={
        "python": "3.11.2",
        "torch": "2.15.0",
        "numpy": "2.4.0",
        "zarr": "3.1.5",
        "dwf": "0.1.0",
        "commit": "6aa7ae36f9ab",
    },
    networks_per_minute=1234.5,
)
