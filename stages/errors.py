"""Errors that a user can act on: one line saying what, where, found and expected, and the next step."""

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
    """The request itself is wrong: nothing was run."""

    exit_code = 2


class DataMissing(DwfError):
    """A data set isn't where it was looked for and can't be downloaded."""


class NotComplete(DwfError):
    """An artifact is absent, half written, or of another format version."""


class Damaged(DwfError):
    """Stored bytes differ from what was written."""


class LayoutMismatch(DwfError):
    """Two sets of weights don't describe the same tensors."""


class FunctionChanged(DwfError):
    """A symmetry that should leave a network's outputs alone has changed them."""


class Diverged(DwfError):
    """Training left the finite numbers and its fallbacks did too."""


class Interrupted(DwfError):
    """The user asked to stop; finished units of work are kept."""

    exit_code = 130
