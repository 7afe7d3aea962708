"""What a sweep ends with: an artifact of one table and one page, and the same table on the console."""

import csv
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.dag import STAGES
from pipeline.keys import sources
from pipeline.runner import versions
from pipeline.sweep.points import Point
from pipeline.sweep.run import Results
from pipeline.sweep.spec import Sweep, short_names
from stages.reporting.sweep_table import columns, measured, rows, said
from stages.store.artifact import artifact_path, building, find, note_latest, now, publish, read_manifest
from stages.store.files import FORMAT_VERSION, write_json

SCHEMA = 1
STAGE = "sweep"


def summarised(
    sweep: Sweep, points: Sequence[Point], results: Results, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """All that a sweep found, as sweep.json holds it: every point with its keys and figures, and a row per combination."""
    entries = [_entry(point, results) for point in points]
    merits = {entry.pop("merit") for entry in entries if "merit" in entry}
    keys = {key for entry in entries for key in entry["keys"].values()}
    return {
        "schema": SCHEMA,
        "name": sweep.name,
        "about": sweep.about,
        "base": str(sweep.base),
        "set": [*sweep.shared, *overrides],
        "varied": list(sweep.varied),
        "names": short_names(sweep.varied),
        "score": next(iter(merits), None),
        "results": {"all": len(STAGES) * len(points), "distinct": len(keys)},
        "points": entries,
        "rows": rows(sweep.varied, entries),
    }


def _entry(point: Point, results: Results) -> dict[str, Any]:
    """One point: its values, its lineage, and its figures or why there are none."""
    keys = {stage: step.key for stage, step in point.steps.items()}
    failed = results.failure(point)
    entry: dict[str, Any] = {"values": dict(point.values), "keys": keys, "failed": failed, "figures": None}
    if failed:
        return entry
    figures = json.loads((results.refs[keys["evaluate"]].path / "figures.json").read_text())
    calls = read_manifest(results.refs[keys["sample"]].path).summary.get("velocity_calls")
    return entry | {"figures": measured(figures | {"velocity_calls": calls}), "merit": figures.get("score")}


def write_sweep(root: Path, found: Mapping[str, Any]) -> Path:
    """Write the artifact of a sweep with at least one finished point, unless it is there. Returns its folder."""
    key = sweep_key(found)
    with building(root, STAGE, key) as work:
        if find(root, STAGE, key) is None:
            from stages.reporting.sweep_page import write_page  # draws, which takes a second to load

            work.mkdir(parents=True, exist_ok=True)
            about = {"created": now(), "versions": versions()}
            write_json(work / "sweep.json", found)
            _write_table(work / "table.csv", found)
            write_page(work / "report.html", found, about)
            publish(work, artifact_path(root, STAGE, key), _manifest(key, found, about))
        note_latest(root, STAGE, found["name"], key)
    return artifact_path(root, STAGE, key)


def sweep_key(found: Mapping[str, Any]) -> str:
    """16 hex digits that depend on the points, which of them failed, and the sources of the page."""
    points = [[point["values"], point["keys"], point["failed"]] for point in found["points"]]
    told = [found[name] for name in ("name", "about", "base", "set")]
    text = json.dumps([FORMAT_VERSION, SCHEMA, told, points, sources("reporting.sweep_page")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _manifest(key: str, found: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Lineage as every artifact has it: the reports upstream, and what each point was."""
    params = {name: found[name] for name in ("base", "set", "varied")}
    finished = [(i, point) for i, point in enumerate(found["points"]) if not point["failed"]]
    return {
        "format_version": FORMAT_VERSION,
        "stage": STAGE,
        "key": key,
        "experiment": found["name"],
        "params": params | {"points": [{n: p[n] for n in ("values", "keys", "failed")} for p in found["points"]]},
        "upstream": {f"point {i}": point["keys"]["evaluate"] for i, point in finished},
        "code": sources("reporting.sweep_page"),
        "versions": about["versions"],
        "created": about["created"],
        "seconds": 0.0,
        "device": platform.processor() or platform.machine(),
        "threads": 1,
        "peak_memory_mb": 0.0,
        "summary": {"points": len(found["points"]), "failed": len(found["points"]) - len(finished)},
    }


def _write_table(path: Path, found: Mapping[str, Any]) -> None:
    """A line per point, in full precision."""
    names = list(dict.fromkeys(name for p in found["points"] for name in p["figures"] or {}))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*found["varied"], *names])
        for point in found["points"]:
            values = [said(point["values"][key]) for key in found["varied"]]
            writer.writerow([*values, *((point["figures"] or {}).get(name, "") for name in names)])


def sweep_table(found: Mapping[str, Any]) -> Table:
    """A row per combination of values, as much as fits a terminal; what nothing was measured for is left out."""
    kept, (merit, *others) = list(found["rows"][0]["values"]), [c for c in columns(found) if c[1].brief]
    table = Table(
        *(found["names"][key] for key in kept), "runs", merit[0], *(h for h, _ in others), box=None, pad_edge=False
    )
    for column in table.columns[len(kept) :]:
        column.justify, column.no_wrap = "right", True
    for row in found["rows"]:
        values, figures = [said(row["values"][key]) for key in kept], row["figures"]
        table.add_row(*values, str(row["runs"]), merit[1].cell(figures), *(m.mean(figures) for _, m in others))
    return table
