"""Facts about members of zoos trained elsewhere: their values and names, and where they stand."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from stages.errors import Damaged, UsageError
from stages.params.base import Params

Facts = Mapping[str, str | float]
"""What is known about one member, by name; what isn't known is absent."""
METADATA = "metadata"
"""In the place of a pattern: facts stand in the headers of safetensors."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""How people and programs write numbers; Python itself would also take `1_000`."""
OWN = {
    *("network", "weights", "sha256", "layout", "pca", "buffers", "own_buffers"),
    *("seed", "attempt", "split", "initialisation", "dataset", "file", "notes", "group"),
    *("train_score", "train_loss", "validation_score", "validation_loss"),
}
"""Columns of the zoo's stores themselves; a fact of such a name becomes `reported_<name>`."""


class FactTable(Params):
    """A table of facts about files, a line for each."""

    table: str = Field(min_length=1)
    """The table, a .csv or .csv.gz file with a header; a relative path is taken from the configuration's folder."""
    file: str = Field(min_length=1)
    """Column with the name of each line's file, e.g. `ckpt_file`: its path, or the last parts of it."""


def name_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression for a pattern such as `mnist_png_{split}_{label}_{index}`, or one with named groups.

    A pattern matches whole parts of a path; a field is any text without `/`, the first one as long as possible. Raises
    ValueError if it has no fields or isn't readable.
    """
    literal_and_field = re.split(r"\{(\w+)\}", pattern)
    try:
        if "(?P<" in pattern:
            return re.compile(pattern)
        parts = [f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(literal_and_field)]
        compiled = re.compile(f"(?:^|/){''.join(parts)}(?:/|$)")
    except re.error as error:
        raise ValueError(f"{pattern!r} isn't readable as a regular expression ({error})") from error
    if not compiled.groups:
        raise ValueError(
            f"{pattern!r}: has no field, as run_{{run}}_{{label}}, a regular expression with (?P<label>...), "
            "metadata, or {table: facts.csv, file: COLUMN}"
        )
    return compiled


def read_table(path: Path) -> Iterator[list[str]]:
    """The names of a .csv or .csv.gz file's columns, as facts are named, then its lines.

    Raises UsageError if it has two columns of one name, and Damaged if it isn't a whole table.
    """
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            lines = csv.reader(file)
            names = [column_name(name) for name in next(lines, [])]
            if twice := [name for i, name in enumerate(names) if name in names[:i]]:
                raise UsageError(f"{path}: two columns are named {twice[0]!r}; rename or remove one")
            yield names
            for number_of, line in enumerate(lines, 2):
                if len(line) != len(names):
                    raise Damaged(f"{path}: line {number_of} has {len(line)} values, expected {len(names)}")
                yield line
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise Damaged(f"{path}: not a whole table ({error})") from error


def column_name(name: str) -> str:
    """A fact's name as a column has it: letters, digits, `_` and `-`, with a point for anything else in between."""
    plain = re.sub(r"[^\w-]+", ".", name).strip(".")
    return f"reported_{plain}" if plain in OWN else plain


def is_known(value: str) -> bool:
    """Whether a text says anything: tables leave unknown values empty, or write NaN."""
    return value.strip().lower() not in ("", "nan")


def number(value: str | float) -> float | None:
    """The value as a number, None if it isn't one."""
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value) else None
    return value


def text(value: str | float) -> str:
    """The value as text; whole numbers have no point: 3, not 3.0."""
    return value if isinstance(value, str) else f"{value:.15g}"
