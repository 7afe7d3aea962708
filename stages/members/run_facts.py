"""Facts about a training run, read from its folder: hyper-parameters, and the results of an epoch."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from stages.errors import Damaged
from stages.members.facts import flattened
from stages.params.facts import Facts
from stages.params.run_folders import RESULTS, Run

ITERATION = "training_iteration"
"""The epoch in a line of results; its number among the lines varies."""


def facts_of_run(run: Run) -> Facts:
    """Its name, the epoch, hyper-parameters, and the numbers in that epoch's line of results, if there is one."""
    facts: dict[str, str | float] = {"run": run.name, "epoch": float(run.epoch)}
    for path in run.described_by:
        facts |= _read(path, run.epoch, path.stat().st_mtime_ns)
    return facts


@cache
def _read(path: Path, epoch: int, changed: int) -> Facts:
    """Hyper-parameters, or the numbers among an epoch's results. Raises Damaged if the former aren't JSON."""
    del changed  # part of the cache's key
    if path.name == RESULTS:
        return {name: value for name, value in flattened(_results(path, epoch)) if isinstance(value, float)}
    try:
        return dict(flattened(json.loads(path.read_text())))
    except (ValueError, AttributeError) as error:
        raise Damaged(
            f"{path}: not a run's hyper-parameters ({error}); expected JSON with a value for each name"
        ) from error


def _results(path: Path, epoch: int) -> dict[str, Any]:
    """The line of an epoch, without what isn't a plain value; empty if there is none."""
    found: dict[str, Any] = {}
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # torn when the run was killed
            continue
        if isinstance(line, dict) and line.get(ITERATION) == epoch:
            found = {name: value for name, value in line.items() if not isinstance(value, dict)}
    return found
