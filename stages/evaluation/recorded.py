"""What other stages recorded, for the report."""

import csv
from pathlib import Path
from typing import Any, cast

from stages.artifacts.fitted import CURVES, WATCHED
from stages.canonical.alignment import ALIGNMENT
from stages.errors import NotComplete
from stages.store.arrays import open_group, read
from stages.store.artifact import Manifest, read_manifest


def manifest_of(path: Path) -> Manifest | None:
    """The artifact's manifest; None of a stage called by hand, outside any store."""
    try:
        return read_manifest(path)
    except NotComplete:
        return None


def curves(fitted: Path) -> dict[str, dict[str, list[float]]]:
    """The columns of fit's tables: losses and dispersion, and what samples were like on the way, if any were looked at."""
    tables = {"curves": fitted / CURVES, "watched": fitted / WATCHED}
    return {name: _columns(path) for name, path in tables.items() if path.exists()}


def _columns(path: Path) -> dict[str, list[float]]:
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    return {name: [float(line[i]) for line in lines] for i, name in enumerate(header)}


def gains(canonical: Path) -> dict[str, Any]:
    """Each member's distance to the reference before and after it was aligned, and what no relabelling was found for."""
    group = open_group(canonical / ALIGNMENT)
    values = {name: read(group, name) for name in ("distance_before", "distance_after", "output_gap")}
    kept = {name: values[name].tolist() for name in ("distance_before", "distance_after")}
    left = cast("list[str]", dict(group.attrs).get("unpermuted", []))
    return kept | {"largest_output_gap": float(values["output_gap"].max()), "unpermuted": left}


def barrier(canonical: Path) -> dict[str, float]:
    """The loss barrier that canonicalize measured, if it did."""
    manifest = manifest_of(canonical)
    summary = manifest.summary if manifest else {}
    return {name: summary[name] for name in ("barrier_before", "barrier_after") if name in summary}


def networks_per_minute(sampled: Path, networks: int) -> dict[str, float]:
    """How fast complete networks were drawn. A clock's figure: for people, never part of what is compared."""
    manifest = manifest_of(sampled)
    return {"networks_per_minute": 60 * networks / max(manifest.seconds, 1e-3)} if manifest else {}
