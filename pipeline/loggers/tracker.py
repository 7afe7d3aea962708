"""Trackers of experiments: what a run tells them, and the one that a configuration names."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from stages.errors import DwfError, UsageError
from stages.params.flat import Scalar

PROJECT = "dwf"
"""What runs are filed under, unless the tracker's own settings say otherwise."""


class Tracker(Protocol):
    """One run of a tracker."""

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """What was configured, by dotted name."""
        ...

    def curves(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """Values by name, by step, in rising steps."""
        ...

    def figures(self, values: Mapping[str, float]) -> None:
        """What was found in the end."""
        ...

    def files(self, paths: Sequence[Path]) -> None:
        """The report and its pictures, to be kept with the run."""
        ...

    def finish(self, succeeded: bool) -> None:
        """Close the run."""
        ...


def tracker_of(kind: str, name: str, key: str) -> Tracker | None:
    """A run called `name` of this kind of tracker; None where the run with this key has been told already.

    Where it goes is for the library's own settings to say. Raises UsageError if the library isn't installed, DwfError
    if it can't open a run.
    """
    if find_spec(kind) is None:
        raise UsageError(f"logger: {kind} isn't installed; install the extra: uv sync --extra {kind}")
    try:
        return import_module(f"pipeline.loggers.{kind}_run").open_run(name, key)
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise DwfError(f"logger: {kind} opens no run ({reason}); mend its settings, or leave out logger") from error
