"""Configuration keys that had other names in an earlier release, and keep working under them for this one."""

import warnings
from typing import Any

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


def with_current_keys(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The sections of a configuration with every key by its present name, wherever a key of RENAMED stands.

    A key that stands there under both names is left alone: it is then reported as unknown.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        taken = key in RENAMED and RENAMED[key] in values
        new = key if taken else current_key(key)
        inner = with_current_keys(value, f"{key}.") if isinstance(value, dict) else value
        found[new.removeprefix(prefix)] = inner
    return found
