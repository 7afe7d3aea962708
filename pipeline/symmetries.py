"""`dwf symmetry`: what can be relabelled in a network, as a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import RenderableType
from rich.table import Table

from pipeline.config import load
from stages.canonical.coverage import Coverage, cover
from stages.errors import UsageError
from stages.params.model import Model
from stages.params.network import Network
from stages.symmetry.table import Symmetry

COLUMNS = ("network", "parameters", "groups", "nested", "streams", "touched", "log10 of all", "seconds", "half moved")


def symmetry_table(names: Sequence[str], shape: str, every_group: bool) -> Iterator[RenderableType]:
    """A row per network; then what was left unpermuted and why; then, if asked for, every group.

    Raises UsageError for a name that is neither a configuration nor a model, or a shape that isn't numbers.
    """
    networks = [_network(name, shape) for name in names]
    table, notes, groups = Table(*COLUMNS, box=None), [], []
    for name, network in zip(names, networks, strict=True):
        found = cover(network)
        table.add_row(*_row(name, found))
        notes += [f"{name}: {note}" for note in found.derived.notes]
        groups.append(_groups(name, found.derived.symmetry))
    yield table
    yield from notes
    if every_group:
        yield from groups


def _network(name: str, shape: str) -> Network:
    if name.endswith((".yaml", ".yml")):
        return load(Path(name)).zoo.network
    try:
        sides = tuple(int(n) for n in shape.split(","))
    except ValueError as error:
        raise UsageError(f"--input {shape!r}: expected whole numbers, e.g. 3,224,224") from error
    try:
        return Model(model=name, input=sides)
    except ValidationError as error:
        raise UsageError(f"{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def _row(name: str, found: Coverage) -> tuple[str, ...]:
    symmetry = found.derived.symmetry
    nested = sum(group.within is not None for group in symmetry.groups.values())
    streams = sum(group.stream for group in symmetry.groups.values())
    half = "always changes it" if not found.idle else "no change: " + ", ".join(found.idle)
    return (
        name,
        f"{found.parameters:,}",
        str(len(symmetry.groups)),
        str(nested),
        str(streams),
        f"{100 * found.touched:.1f} %",
        f"{symmetry.log10_size:.0f}",
        f"{found.seconds:.1f}",
        half,
    )


def _groups(name: str, symmetry: Symmetry) -> Table:
    table = Table("group", "units", "within", "stream", "lies on", box=None, title=name)
    for group, facts in symmetry.groups.items():
        places = dict.fromkeys(f"{a.tensor}[{a.axis}]" for a in facts.axes)
        lies = ", ".join(list(places)[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
        table.add_row(group, str(facts.size), facts.within or "", "yes" if facts.stream else "", lies)
    return table
