"""Errors that a user can act on: one line with what and where, found and expected values, and the next step."""

import difflib
import reprlib
from collections.abc import Iterable

MAX_LINES = 20
"""Lines of a message."""
MAX_LENGTH = 1000
"""Characters of one of its lines: whoever wrote a file or a value may have made it far longer than people read."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxtuple = 3, 6, 6, 6
_SHORT.maxstring = _SHORT.maxother = 100


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, but for what is too long or too deep to be read."""
    return _SHORT.repr(value)


def shortened(text: str) -> str:
    """A text of at most MAX_LINES lines of MAX_LENGTH characters, which says what was left out of it."""
    lines = [_shortened(line) for line in text.split("\n", MAX_LINES)]
    return "\n".join([*lines[: MAX_LINES - 1], "and more"] if len(lines) > MAX_LINES else lines)


def _shortened(line: str) -> str:
    if (left_out := len(line) - MAX_LENGTH) <= 0:
        return line
    half = MAX_LENGTH // 2 - 20  # for the words between
    return f"{line[:half]} ... ({left_out + 40} characters) ... {line[-half:]}"


def did_you_mean(word: str, words: Iterable[str], count: int = 1) -> str:
    """The names nearest to a wrong one, as the end of a message; empty if none is near."""
    close = difflib.get_close_matches(word, sorted(words), count, 0.5)
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


class DwfError(Exception):
    """A failure that is explained in one line; the command line exits with `exit_code`."""

    exit_code = 1

    def __str__(self) -> str:
        return shortened(super().__str__())


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
