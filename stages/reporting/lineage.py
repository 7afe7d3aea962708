"""Lineage of an evaluation: the stages of its run, with what each reported of its artifact."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from stages.errors import NotComplete
from stages.store.artifact import FOLDERS, now
from stages.store.manifest import Manifest, read_manifest

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
    "{not_finite:,} left out, as their weights aren't finite",
)
"""In this order, each where a summary has all that it names."""


@dataclass(frozen=True)
class StageFacts:
    """One stage of a run: its key, how long it took in seconds, and what it reported of its artifact."""

    stage: str
    key: str
    seconds: float
    summary: dict[str, Any]

    @property
    def in_words(self) -> str:
        """The summary as phrases; figures that no phrase knows follow by name, nested ones and null are left out."""
        known = {key: value for key, value in self.summary.items() if value is not None}
        fields = {phrase: {name for _, name, _, _ in Formatter().parse(phrase) if name} for phrase in PHRASES}
        used = [phrase for phrase in PHRASES if fields[phrase] <= set(known)]
        texts = [phrase.format(**known).replace("%", " %") for phrase in used]
        rest = {key: value for key, value in known.items() if not any(key in fields[phrase] for phrase in used)}
        return ", ".join([*texts, *(f"{name} {value}" for name, value in single_values(rest).items())])


@dataclass(frozen=True)
class Run:
    """What was run: facts with clock times, which are no part of the figures."""

    experiment: str = ""
    created: str = ""
    lineage: tuple[StageFacts, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str | int] = field(default_factory=dict)
    config: str = ""
    networks_per_minute: float | None = None
    """How fast the flow generates; None for networks that were read."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """By dotted key, of all stages."""
    by_content: bool = False
    """Whether the configuration has what files hold where their names were."""

    @property
    def file(self) -> str:
        """What to call the configuration."""
        return f"{self.experiment or 'experiment'}.yaml"

    @property
    def commit(self) -> str:
        """The commit of the sources that measured; empty where they aren't a working tree."""
        return self.versions.get("commit", "")


def run_of(evaluated: Path) -> Run:
    """The run that an evaluation's artifact is of; empty for an evaluation outside any store."""
    manifests = list(_manifests(evaluated))
    if not manifests:
        return Run()
    last = manifests[-1]
    sampled = next((m for m in manifests if m.stage == "sample" and "velocity_calls" in m.summary), None)
    return Run(
        experiment=last.experiment,
        created=now(),
        lineage=tuple(StageFacts(m.stage, m.key, m.seconds, m.summary) for m in manifests),
        versions=last.versions,
        hardware={"device": last.device, "threads": last.threads},
        config=yaml.safe_dump(
            {"name": last.experiment} | {m.stage: m.params for m in manifests}, sort_keys=False, allow_unicode=True
        ),
        seeds={key: value for m in manifests for key, value in _seeds(m.params, m.stage)},
        by_content=any(_has_hash(m.params) for m in manifests),
        networks_per_minute=60 * sampled.summary["networks"] / max(sampled.seconds, 1e-3) if sampled else None,
    )


def _manifests(artifact: Path) -> Iterator[Manifest]:
    """Of an artifact and of all that it was made from, in the order of the dag."""
    by_stage: dict[str, Manifest] = {}
    todo = [artifact]
    while todo:
        folder = todo.pop()
        with suppress(NotComplete):
            manifest = by_stage[read_manifest(folder).stage] = read_manifest(folder)
            todo += [path for key in manifest.upstream.values() for path in folder.parents[1].glob(f"*/{key}")]
    return iter(by_stage[stage] for stage in FOLDERS if stage in by_stage)


def _seeds(params: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, int]]:
    """Every seed among parameters, by its dotted key."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _seeds(value, f"{prefix}.{name}")
        elif name == "seed" and isinstance(value, int):
            yield f"{prefix}.{name}", value


def _has_hash(value: Any) -> bool:
    """Whether a hash is anywhere among parameters: it stands for what a file holds."""
    if isinstance(value, Mapping | list | tuple):
        return any(map(_has_hash, value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{16,}", value) is not None


def single_values(source: Mapping[str, Any]) -> dict[str, str]:
    """Single values of a mapping as words; nested ones don't fit a line and are left out."""
    single = {k: v for k, v in source.items() if v is not None and not isinstance(v, dict | list | tuple)}
    return {k.replace("_", " "): f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in single.items()}
