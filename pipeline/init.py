"""`dwf init`: the built-in configurations, listed, or copied for a user to edit."""

import re
import shutil
from itertools import takewhile
from pathlib import Path

from rich.table import Table

from pipeline.configurations import BUILT_IN, built_in, name_of, names
from stages.errors import UsageError

COMMANDS = {"sweeps": "dwf sweep", "surveys": "dwf symmetry --survey"}
"""What takes a file of these folders; `dwf run` takes the others."""


def listing() -> Table:
    """Every built-in configuration, with what it is about."""
    table = Table("name", "about", box=None, pad_edge=False)
    for name in names():
        table.add_row(name, about(name))
    return table


def about(name: str) -> str:
    """The first sentence of the comment that a built-in configuration begins with."""
    comment = takewhile(lambda line: line.startswith("#"), (BUILT_IN / f"{name}.yaml").read_text().splitlines())
    return re.split(r"\.\s+(?=[A-Z])", " ".join(line.lstrip("# ") for line in comment))[0].removesuffix(".")


def copy(name: str, folder: Path, replace: bool = False) -> tuple[Path, str]:
    """Copy a built-in configuration, comments and all, into a folder. Returns the copy and the command that runs it.

    Raises UsageError if there is no such configuration, or if the file is there and may not be replaced.
    """
    source = built_in(name)
    target = folder / source.name
    if target.exists() and not replace:
        raise UsageError(f"{target}: is there already; go on with it, or replace it with --force")
    shutil.copyfile(source, target)
    return target, f"{COMMANDS.get(name_of(source).partition('/')[0], 'dwf run')} {target}"
