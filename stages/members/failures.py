"""Failures of many checkpoints told in one line, so that nobody mends a thousand files one by one."""

import re
from collections.abc import Iterable, Mapping

from stages.errors import DwfError

KINDS = 3
"""Kinds of failure that are told apart."""
LISTED = 100
"""Names of a kind that are listed."""


def together(failures: Mapping[str, DwfError], total: int) -> DwfError:
    """One error for those of some of a zoo's members, by their names: each kind's first, and who else has it.

    Says how to leave them out unless that would be all.
    """
    kinds: dict[tuple[type[DwfError], str], list[str]] = {}
    for name, error in failures.items():
        kinds.setdefault((type(error), _kind(str(error))), []).append(name)
    lines = [f"{failures[names[0]]}{_others(names[1:])}" for names in [*kinds.values()][:KINDS]]
    if further := [name for names in [*kinds.values()][KINDS:] for name in names]:
        lines.append(f"{len(further)} more fail in other ways, such as {further[0]}")
    if len(failures) < total:
        them = "it" if len(failures) == 1 else "them"
        lines.append(f"zoo.skip: [{listed(map(repr, failures))}] leaves {them} out")
    return next(iter(kinds))[0]("; ".join(lines))


def listed(names: Iterable[str]) -> str:
    """Names with commas, and how many there are beyond LISTED."""
    every = list(names)
    more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return ", ".join(every[:LISTED]) + more


def _kind(message: str) -> str:
    """What `<file>: <message>` says without its file, and without numbers outside of names."""
    return re.sub(r"('[^']*')|\d+", lambda found: found[1] or "#", message.partition(": ")[2])


def _others(names: list[str]) -> str:
    return f"; the same in {listed(names)}" if names else ""
