"""The plan as a table and as a document: what would run and why, and what it would need."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from pipeline.console import human_size, human_time
from pipeline.estimates.check import Estimate
from pipeline.runner import Planned
from stages.store.files import size_on_disk


def plan_table(planned: Sequence[Planned], found: Sequence[Estimate]) -> Table:
    """Per stage its key, what would happen and why, its size, and the memory and time that it would take."""
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "key", "", "why", "size", "memory", "time"):
        table.add_column(heading, no_wrap=heading != "why")
    by_stage = {estimate.stage: estimate for estimate in found}
    for step in planned:
        if step.ref:
            table.add_row(step.stage, step.key, "reuse", "", human_size(size_on_disk(step.path)))
        else:
            cells = _cells(by_stage.get(step.stage))
            table.add_row(step.stage, step.key, "run", step.why, *cells)
    return table


def _cells(estimate: Estimate | None) -> tuple[str, str, str]:
    """About how much disk, memory and time."""
    if estimate is None:
        return "?", "?", "?"
    time = f"~{human_time(estimate.time.seconds)}" if estimate.time else "?"
    return f"~{human_size(estimate.disk.size)}", f"~{human_size(estimate.memory.size)}", time


def summary(found: Sequence[Estimate]) -> str:
    """All stages' needs in a sentence, and where the times come from."""
    if not found:
        return "What the run needs isn't known before its networks have been read."
    disk, memory = sum(estimate.disk.size for estimate in found), max(estimate.memory.size for estimate in found)
    times = [estimate.time for estimate in found if estimate.time]
    measured = sum(time.measured for time in times)
    source = f"{measured} of {len(times)} by earlier runs in this store, the others by built-in rates"
    if measured in (0, len(times)):
        source = "by earlier runs in this store" if measured else "by built-in rates, no earlier run being near"
    total = human_time(sum(time.seconds for time in times))
    return f"To run: about {human_size(disk)} of disk, {human_size(memory)} of memory, {total} (times {source})."


def plan_document(planned: Sequence[Planned], found: Sequence[Estimate]) -> list[dict[str, Any]]:
    """The same for programs: sizes in bytes, times in seconds; no estimate for what is there, or isn't known."""
    by_stage = {estimate.stage: estimate for estimate in found}
    return [
        {
            "stage": step.stage,
            "key": step.key,
            "reuse": step.ref is not None,
            "why": None if step.ref else step.why,
            "path": step.path,
            "size": size_on_disk(step.path) if step.ref else None,
            "estimate": _numbers(by_stage[step.stage]) if step.stage in by_stage else None,
        }
        for step in planned
    ]


def _numbers(estimate: Estimate) -> dict[str, Any]:
    return {
        "disk": round(estimate.disk.size),
        "memory": round(estimate.memory.size),
        "seconds": estimate.time.seconds if estimate.time else None,
        "measured": estimate.time.measured if estimate.time else None,
    }
