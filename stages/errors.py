"""Errors that a user can act on: one line with what and where, found and expected values, and the next step."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, words: Iterable[str], count: int = 1) -> str:
    """The names nearest to a wrong one, as the end of a message; empty if none is near."""
    close = difflib.get_close_matches(word, sorted(words), count, 0.5)
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


class DwfError(Exception):
    """A failure that is explained in one line; the command line exits with `exit_code`."""

    exit_code = 1


class UsageError(DwfError):
    """A request that is wrong in itself; nothing was run."""

    exit_code = 2


class DataMissing(DwfError):
    """A data set that isn't below the data root and can't be downloaded."""


class NotComplete(DwfError):
    """An artifact that is absent, half written, or of another format version."""


class Damaged(DwfError):
    """Stored bytes that differ from what was written."""


class LayoutMismatch(DwfError):
    """Tensors whose names or shapes differ from those expected."""


class FunctionChanged(DwfError):
    """A change of outputs by a transformation that should leave a network's function as it is."""


class Diverged(DwfError):
    """Training or sampling that diverged (NaN or Inf), from its fallback seeds too where there are any."""


class Interrupted(DwfError):
    """A run that the user stopped; finished units of work are kept."""

    exit_code = 130
