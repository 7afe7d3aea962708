"""Made-up figures of an evaluation, for what shows them."""

from typing import Any

import numpy as np

LEVELS = {  # accuracy, max-IoU and distance in tau of made-up sets
    "members": ("members", None, 0.963, 0.42, 1.0),
    "held-out": ("held-out", None, 0.962, 0.42, 1.02),
    "generated": ("generated", None, 0.962, 0.95, 0.02),
    "noise 0.02": ("baseline", "noise", 0.963, 0.97, 0.02),
    "noise 0.05": ("baseline", "noise", 0.962, 0.9, 0.05),
    "noise 0.2": ("baseline", "noise", 0.94, 0.6, 0.2),
    "noise 0.5": ("baseline", "noise", 0.55, 0.15, 0.5),
    "interpolation 0.1": ("baseline", "interpolation", 0.962, 0.8, 0.12),
    "interpolation 0.5": ("baseline", "interpolation", 0.93, 0.4, 0.6),
    "soup 2": ("baseline", "soup", 0.94, 0.4, 0.7),
    "soup 4": ("baseline", "soup", 0.9, 0.3, 0.85),
    "gaussian null": ("baseline", "gaussian", 0.12, 0.11, 1.3),
    "retrieval": ("baseline", "retrieval", 0.963, 1.0, 0.0),
    "fresh": ("baseline", "fresh", 0.962, 0.42, 1.02),
}


def _statistics(values: np.ndarray) -> dict[str, float]:
    quantiles = {f"p{q}": float(np.quantile(values, q / 100)) for q in (10, 50, 90)}
    extremes = {"min": float(values.min()), "max": float(values.max())}
    return {"mean": float(values.mean()), "std": float(values.std()), **extremes, **quantiles}


def _set(rng: np.random.Generator, networks: int, name: str) -> dict[str, Any]:
    role, family, accuracy, iou, distance = LEVELS[name]
    accuracies = np.clip(accuracy + (1.02 - accuracy) * 0.05 * rng.standard_normal(networks), 0, 1)
    ious = np.clip(iou + 0.03 * rng.standard_normal(networks), 0, 1)
    distances = distance * np.exp(0.08 * rng.standard_normal(networks))
    good = accuracies >= 0.958
    found = {
        "role": role,
        "family": family,
        "networks": networks,
        "distance_in_tau": float(np.median(distances)),
        "score": _statistics(accuracies),
        "loss": _statistics(-np.log(np.clip(accuracies, 0.1, 1))),
        "max_iou": _statistics(ious),
        "distance": _statistics(22.9 * distances),
        "nearest_members_hit": 57,
        "novel_and_performant": {str(m): float((good & (distances >= m)).mean()) for m in (0.25, 0.5, 1.0, 2.0)},
        "ensemble_score": accuracies.max() + 0.005,
        "dispersion": 1.0,
        "points": {"score": list(accuracies), "distance_in_tau": list(distances), "max_iou": list(ious)},
        **_of_distributions(rng, name, distances),
    }
    return (
        found
        if role == "baseline"
        else found | {"ensemble_curve": _ensembles(accuracy, 0.001 if role == "generated" else 0.012)}
    )


def _tests(rng: np.random.Generator, distance: float) -> dict[str, Any]:
    """Two-sample tests of a set this far away, in tau."""
    aucs = [min(0.98, 0.5 + 0.5 * abs(1.02 - distance) + 0.04 * rng.random()) for _ in range(2)]
    found = {
        what: {"auc": auc, "low": auc - 0.07, "high": min(auc + 0.07, 1.0)}
        for what, auc in zip(("weights", "outputs"), aucs, strict=True)
    }
    return found | {"mmd": {"value": 0.01, "p": 0.43 if distance > 0.95 else 0.002}}


def _of_distributions(rng: np.random.Generator, name: str, distances: np.ndarray) -> dict[str, Any]:
    """How like the members' a set is distributed."""
    role, _, accuracy, _, distance = LEVELS[name]
    found: dict[str, Any] = {
        "ece": _statistics(0.01 + 0.002 * rng.random(len(distances))),
        "per_class": list(np.clip(accuracy + 0.01 * rng.standard_normal(10), 0, 1)),
        "distance_quotient": _statistics(20.1 * distances),
        "distance_normalised": _statistics(118.0 * distances),
        "duplicates": 2 if name == "generated" else 0,
        "wasserstein": abs(1.0 - distance),
        "jensen_shannon": min(1.0, abs(1.0 - distance)),
        "dispersion_by_direction": list(np.exp(0.05 * rng.standard_normal(99))),
    }
    return found if role == "members" else found | {"two_sample": _tests(rng, distance)}


def _ensembles(accuracy: float, gain: float) -> dict[str, Any]:
    """Curves against size that level off."""
    sizes = [1, 2, 5, 10, 20, 50, 100, 200]
    reached = [1 - 1 / np.sqrt(size) for size in sizes]
    return {
        "sizes": sizes,
        "score": [accuracy + gain * r for r in reached],
        "loss": [0.13 - 2 * gain * r for r in reached],
        "ece": [0.01 + 0.3 * gain * r for r in reached],
    }


def _starts(lowest: dict[str, float], times: int, highest: float = 0.965) -> dict[str, Any]:
    """Learning curves from several starts, each slower the lower it begins."""
    left = {name: (highest - low) * 0.3 ** np.arange(times) for name, low in lowest.items()}
    return {name: {"mean": list(highest - gap), "std": list(0.003 + 0.05 * gap)} for name, gap in left.items()}


def _in_use() -> dict[str, Any]:
    """What an evaluation says of further training, and of relabelling."""
    return {
        "frontier": {
            "distance": [0.0, 0.05, 0.12, 0.2, 0.6, 1.3],
            "score": [0.963, 0.963, 0.962, 0.95, 0.93, 0.12],
            "name": ["noise"] * 6,
        },
        "gain_over_baselines": {"at": 0.02, "gain": -0.0012, "rival": "noise"},
        "canonicalization": {
            "score_before": 0.9631,
            "score_after": 0.9631,
            "score_undone": 0.963,
            "bit_exact": True,
            "barrier_before": 1.83,
            "barrier_after": 0.41,
            "spectrum": {"ev0_over_median": 2.1, "effective_rank": 96.6, "k": 99},
            "pca_round_trip": {
                "k": [1, 10, 50, 90, 99],
                "raw": [0.11, 0.13, 0.3, 0.8, 0.963],
                "aligned": [0.2, 0.45, 0.8, 0.95, 0.963],
            },
        },
        "finetuning": {
            "steps": [0, 10, 50, 200],
            "text": "Generated networks need no fine-tuning.",
            "sets": _starts({"generated": 0.962, "members": 0.963, "soup": 0.85, "fresh": 0.1}, 4),
        },
        "transfer": [
            {
                "dataset": name,
                "epochs": [0, 1, 2, 5],
                "sets": _starts({"generated": 0.48, "members": 0.52, "fresh": 0.1}, 4, 0.87),
            }
            for name in ("fashion_mnist", "digits")
        ],
        "networks_per_minute": 1234.5,
    }


def made_up(networks: int = 100) -> dict[str, Any]:
    """Figures as an evaluation of MNIST networks could give them."""
    rng = np.random.default_rng(1)
    tensors = [f"layers.{i}.{part}" for i in range(3) for part in ("weight", "bias")]
    edges = {t: list(np.linspace(-0.5, 0.5, 61)) for t in tensors}
    bell = [float(np.exp(-((x + 0.01) ** 2) * 30)) for x in np.linspace(-0.5, 0.5, 60)]
    steps = np.arange(0, 20_000, 20)
    falling = 2 * np.exp(-steps / 3000) + 0.2
    before = 40 + rng.standard_normal(networks)
    disk = np.exp(-((np.mgrid[-1:1:28j, -1:1:28j] ** 2).sum(0)) * 3).ravel()
    images = {who: [list(disk * rng.standard_normal(784)) for _ in range(8)] for who in ("members", "generated")}
    return {
        "schema": 4,
        "score": "accuracy",
        "dataset": {"name": "mnist"},
        "network": {"kind": "mlp", "widths": [784, 32, 32, 10]},
        "parameters": 26506,
        "test_examples": 10000,
        "bar": 0.958,
        "tau": 22.9,
        "verdict": {
            "accurate": True,
            "new": False,
            "better_than_baselines": None,
            "text": "As accurate as members: yes (96.2 % against 96.3 %). New: no (nearest member at 0.02 τ). "
            "Better than the baselines: not measured.",
        },
        "sets": {name: _set(rng, networks, name) for name in LEVELS},
        "curves": {
            "step": steps.tolist(),
            "loss": list(falling * np.exp(0.1 * rng.standard_normal(len(steps)))),
            "heldout_loss": [float(v) + 0.1 if i % 50 == 0 else None for i, v in enumerate(falling)],
            "dispersion": [1 - float(np.exp(-s / 2000)) if i % 50 == 0 else None for i, s in enumerate(steps)],
        },
        "watched": {
            "step": [200.0, 400.0, 600.0],
            "score": [0.6, 0.9, 0.95],
            "score_std": [0.1, 0.05, 0.02],
            "novelty": [2.0, 1.3, 1.1],
            "novel_and_performant": [0.0, 0.1, 0.5],
        },
        "spectrum": {
            "variance": [*(5 * 0.985 ** np.arange(networks - 1)), 0.0],
            "effective_rank": 0.8 * networks,
            "networks": networks,
        },
        "alignment": {
            "distance_before": [0.0, *before[1:]],
            "distance_after": [0.0, *(before[1:] * 0.8)],
            "largest_output_gap": 1e-15,
            "unpermuted": ["aten.sort: no rule for this operation (2 x); what it touches keeps its order"],
        },
        "histograms": {
            "edges": edges,
            "members": dict.fromkeys(tensors, bell),
            "generated": dict.fromkeys(tensors, bell[::-1]),
        },
        "filters": {"side": 28, **images},
        **_in_use(),
    }


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
ABOUT: dict[str, Any] = {
    "experiment": "mnist_mlp",
    "created": "2026-11-23T16:02:07Z",
    "lineage": [
        {
            "stage": stage,
            "key": f"{i:x}" * 16,
            "seconds": 74.2 * i,
            "reused": i < 3,
            "summary": SUMMARIES.get(stage, {"members": 100, "accuracy": 0.9631}),
        }
        for i, stage in enumerate(("zoo", "canonicalize", "pack", "fit", "sample", "evaluate"), 1)
    ],
    "config": "zoo:\n  members: 100\n  note: " + "long " * 60,
    "hardware": {"device": "cpu", "threads": 2, "processor": "Intel(R) Xeon(R) Processor @ 2.10GHz"},
    "versions": {"python": "3.11.2", "torch": "2.15.0", "numpy": "2.4.0", "zarr": "3.1.5", "dwf": "0.1.0"},
}
