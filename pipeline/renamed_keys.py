"""Configuration keys that had other names in an earlier release, and keep working under them for this one."""

import warnings
from typing import Any

from stages.errors import UsageError

RENAMED = {
    "canonicalize.barrier": "barrier_members",
    "canonicalize.probe": "probe_examples",
    "canonicalize.rounds": "mean_rounds",
    "canonicalize.scale": "balance_norms",
    "canonicalize.streams": "residual_streams",
    "evaluate.baseline": "baseline_networks",
    "evaluate.ensembles": "ensemble_sizes",
    "evaluate.finetune.soup": "soup_size",
    "evaluate.interpolation": "interpolation_fractions",
    "evaluate.margins": "novelty_margins",
    "evaluate.members": "max_members",
    "evaluate.near": "align_to_nearest",
    "evaluate.noise": "noise_levels",
    "evaluate.probed": "probe_members",
    "evaluate.round_trip": "round_trip_components",
    "evaluate.soup": "soup_sizes",
    "fit.check_every": "check_every_steps",
    "fit.ema": "ema_decay",
    "fit.hold": "max_memory_gib",
    "fit.outputs": "output_loss_weight",
    "fit.path_noise": "path_noise_std",
    "fit.patience": "patience_checks",
    "fit.pick": "checkpoint",
    "fit.watch": "eval_samples",
    "sample.keep": "keep_fraction",
    "sample.start": "start_time",
    "zoo.others": "other_datasets",
    "zoo.retries": "max_retries",
    "zoo.shard": "shard_size",
}
"""Dotted key of release 0.1 -> the last part of its present name. To be dropped in the release after the next."""


class RenamedKey(FutureWarning):
    """A configuration uses a key's earlier name."""


def current_key(key: str) -> str:
    """A dotted key by its present name; warns with RenamedKey if that is another one."""
    if key not in RENAMED:
        return key
    new = f"{key.rpartition('.')[0]}.{RENAMED[key]}"
    warnings.warn(f"{key} is now called {new}; the earlier name works until the next release", RenamedKey, stacklevel=2)
    return new


def with_current_keys(values: dict[str, Any], section: str = "") -> dict[str, Any]:
    """The values of a section and of those within it, with every key by its present name.

    Warns as `current_key` does. Raises UsageError naming both names of a key that is given under both.
    """
    current: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{section}{name}"
        if key in RENAMED and RENAMED[key] in values:
            new = f"{section}{RENAMED[key]}"
            raise UsageError(f"{key} and {new} are two names of the same key; keep {new}")
        inner = with_current_keys(value, f"{key}.") if isinstance(value, dict) else value
        current[current_key(key).removeprefix(section)] = inner
    return current
