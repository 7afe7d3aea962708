"""What each stage of a run reports of itself, in words."""

from string import Formatter
from typing import Any

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
