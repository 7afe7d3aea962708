"""Figures that other stages recorded in their artifacts."""

import csv
from pathlib import Path
from typing import Any, cast

from stages.artifacts.fitted import CURVES, SAMPLE_SCORES
from stages.canonical.alignment import ALIGNMENT
from stages.errors import NotComplete
from stages.evaluation.figure_parts import Alignment, Curves, Samples
from stages.store.arrays import open_group, read
from stages.store.manifest import read_manifest
from stages.store.sealed import read_sealed


def curves(fitted: Path | None) -> tuple[Curves | None, Samples | None]:
    """Fit's tables: losses and dispersion, and scores of samples on the way, if any were drawn; None without a fit."""
    if fitted is None:
        return None, None
    watched = fitted / SAMPLE_SCORES
    samples = Samples.model_validate(_columns(watched)) if watched.exists() else None
    return Curves.model_validate(_columns(fitted / CURVES)), samples


def _columns(path: Path) -> dict[str, list[float]]:
    header, *lines = csv.reader(read_sealed(path).decode().splitlines())
    return {name: [float(line[i]) for line in lines] for i, name in enumerate(header)}


def alignment(canonical: Path) -> Alignment:
    """Each member's distance to the reference before and after it was aligned, and what was left unpermuted."""
    group = open_group(canonical / ALIGNMENT)
    before, after, gaps = (read(group, name) for name in ("distance_before", "distance_after", "output_gap"))
    return Alignment(
        distance_before=before.tolist(),
        distance_after=after.tolist(),
        largest_output_gap=float(gaps.max()),
        unpermuted=cast("list[str]", dict(group.attrs).get("unpermuted", [])),
    )


def recorded_summary(artifact: Path) -> dict[str, Any]:
    """What a stage said of its artifact; empty for a stage called by hand, outside any store."""
    try:
        return read_manifest(artifact).summary
    except NotComplete:
        return {}
