"""What each stage of a run reports of itself, in words."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from stages.errors import NotComplete
from stages.store.artifact import FOLDERS, Manifest, now, read_manifest
from stages.store.refs import Ref

NONE = "–"
"""Stands where a figure wasn't measured."""
PHRASES = (
    "{networks:,} networks",
    "of {parameters:,} parameters each",
    "validation accuracy {validation_accuracy:.2%} ± {validation_accuracy_std:.2%}",
    "validation Spearman correlation {validation_spearman:.4f} ± {validation_spearman_std:.4f}",
    "{retrained} of them trained again",
    "{groups} groups of units that can be relabelled, in 10^{log10_relabellings:.0f} ways",
    "relabelled {distance_gain:.1%} nearer to the reference",
    "{pairwise_distance:.4g} from one another then",
    "loss barrier to the reference {barrier_before:.3g} before and {barrier_after:.3g} after",
    "outputs changed by {largest_output_gap:.0e} at most",
    "matched in {matching_seconds:.3g} s",
    "effective rank {effective_rank:.4g}",
    "largest variance {flatness:.3g} times the median",
    "{step:,} steps",
    "loss {loss:.4g}",
    "held-out loss {heldout_loss:.4g}",
    "lowest {lowest_heldout_loss:.4g} at step {lowest_heldout_step:,}",
    "dispersion {dispersion:.3f}",
    "{dim:,} dimensions",
    "kept the {picked} checkpoint",
    "{velocity_calls} calls of the velocity network",
)
"""Told in this order, each where a summary has all that it names."""


def stage_row(entry: dict[str, Any]) -> dict[str, str]:
    """A row of the lineage table."""
    seconds = entry.get("seconds")
    return {
        "stage": str(entry.get("stage") or NONE),
        "key": str(entry.get("key") or NONE),
        "seconds": NONE if seconds is None else f"{seconds:,.1f}",
        "summary": in_words(entry.get("summary")),
    }


def in_words(summary: dict[str, Any] | None) -> str:
    """A stage's summary as phrases; figures that no phrase knows follow by name, nested ones and null are left out."""
    known = {key: value for key, value in (summary or {}).items() if value is not None}
    fields = {phrase: {name for _, name, _, _ in Formatter().parse(phrase) if name} for phrase in PHRASES}
    told = [phrase for phrase in PHRASES if fields[phrase] <= set(known)]
    words = [phrase.format(**known).replace("%", " %") for phrase in told]
    rest = {key: value for key, value in known.items() if not any(key in fields[phrase] for phrase in told)}
    return ", ".join([*words, *(f"{name} {value}" for name, value in single_values(rest).items())])


def single_values(source: dict[str, Any] | None) -> dict[str, str]:
    """Single values of a mapping as words; nested ones don't fit a line and are left out."""
    single = {k: v for k, v in (source or {}).items() if v is not None and not isinstance(v, dict | list | tuple)}
    return {k.replace("_", " "): f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in single.items()}


def about(evaluated: Ref) -> dict[str, Any]:
    """What was run: lineage, configuration, hardware and speed; facts with clock times, so not part of the figures.

    Empty for an evaluation outside any store.
    """
    manifests = list(_manifests(evaluated.path))
    if not manifests:
        return {}
    last = manifests[-1]
    sampled = next((m for m in manifests if m.stage == "sample"), None)
    speed = 60 * sampled.summary["networks"] / max(sampled.seconds, 1e-3) if sampled else None
    return {
        "experiment": last.experiment,
        "created": now(),
        "lineage": [{"stage": m.stage, "key": m.key, "seconds": m.seconds, "summary": m.summary} for m in manifests],
        "versions": last.versions,
        "hardware": {"device": last.device, "threads": last.threads},
        "config": yaml.safe_dump({m.stage: m.params for m in manifests}, sort_keys=False),
        "networks_per_minute": speed,
    }


def _manifests(path: Path) -> Iterator[Manifest]:
    """Of an artifact and of all that it was made from, in the order of the dag."""
    found: dict[str, Manifest] = {}
    todo = [path]
    while todo:
        with suppress(NotComplete):
            manifest = read_manifest(folder := todo.pop())
            found[manifest.stage] = manifest
            todo += [artifact for key in manifest.upstream.values() for artifact in folder.parents[1].glob(f"*/{key}")]
    return iter(found[stage] for stage in FOLDERS if stage in found)
