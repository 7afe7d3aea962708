"""`dwf symmetry`: the permutation groups derived from a network's graph, with their proof, as a table."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.table import Column, Table

from pipeline.config import load
from stages.errors import UsageError
from stages.nets.registry import build, example_input
from stages.nets.requirements import check_network
from stages.params.network import Model, Network
from stages.symmetry.derive import Derived, derive
from stages.symmetry.prove import vacuous_groups
from stages.symmetry.table import Symmetry

COLUMNS = (
    "network",
    "parameters",
    "groups",
    "nested",
    "streams",
    "rescaled",
    "flipped",
    "touched",
    "log10 of all",
    "seconds",
    "half moved",
)


@dataclass(frozen=True)
class Coverage:
    """The table derived from a network, and the share of its parameters in [0, 1] that at least one group lies on.

    `vacuous`: groups of which one half alone changes nothing, so that their proof says nothing. `seconds` are for the
    graph, the table and the proof; the negative control comes on top.
    """

    derived: Derived
    parameters: int
    covered: float
    seconds: float
    vacuous: tuple[str, ...]

    def facts(self, name: str) -> dict[str, Any]:
        """The same as JSON has it, with every group's size, what it is nested in, and where it lies."""
        symmetry = self.derived.symmetry
        groups = {
            group: {
                "units": facts.size,
                "within": facts.within,
                "stream": facts.stream,
                "lies_on": list(dict.fromkeys(f"{a.tensor}[{a.axis}]" for a in facts.axes)),
            }
            for group, facts in symmetry.groups.items()
        }
        return {
            "network": name,
            "parameters": self.parameters,
            "touched": self.covered,
            "log10_of_all": symmetry.log10_size,
            "rescaled": len(symmetry.rescalable),
            "flipped": len(symmetry.flippable),
            "seconds": self.seconds,
            "half_moved_changes_nothing": self.vacuous,
            "notes": self.derived.notes,
            "groups": groups,
        }


def coverage_of(network: Network, name: str = "network") -> Coverage:
    """Derive and prove the table of a network with its own initialisation, and try every group by half.

    Raises UsageError that begins with `name` for a network that can't be worked with.
    """
    module, example = build(network), example_input(network)
    check_network(module, example, name, one_tensor=False)
    started = time.monotonic()
    derived = derive(module, example)
    seconds = time.monotonic() - started
    sizes = {name: p.numel() for name, p in module.named_parameters()}
    covered = sum(sizes[name] for name in derived.symmetry.tensors if name in sizes) / sum(sizes.values())
    vacuous = vacuous_groups(module, example, derived.symmetry)
    return Coverage(derived, sum(sizes.values()), covered, seconds, tuple(vacuous))


def coverages(names: Sequence[str], shape: str) -> dict[str, Coverage]:
    """What was derived for each network, by its name; a configuration's network, or a model with inputs of a shape.

    Raises UsageError for a name that is neither a configuration nor a model, or a shape that isn't numbers.
    """
    networks = {name: _network(name, shape) for name in names}
    return {name: coverage_of(network, name) for name, network in networks.items()}


def symmetry_tables(found: Mapping[str, Coverage], every_group: bool) -> Iterator[Table | str]:
    """A row per network; then what was left unpermuted and why; then, if asked for, every group."""
    table = Table(Column(COLUMNS[0], no_wrap=True, overflow="fold"), *COLUMNS[1:], box=None)
    for name, coverage in found.items():
        table.add_row(*_row(name, coverage))
    yield table
    for name, coverage in found.items():
        yield from (f"{name}: {note}" for note in coverage.derived.notes)
    if every_group:
        for name, coverage in found.items():
            yield _groups(name, coverage.derived.symmetry)


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


def _row(name: str, coverage: Coverage) -> tuple[str, ...]:
    symmetry = coverage.derived.symmetry
    nested = sum(group.within is not None for group in symmetry.groups.values())
    streams = sum(group.stream for group in symmetry.groups.values())
    half = "always changes it" if not coverage.vacuous else "no change: " + ", ".join(coverage.vacuous)
    return (
        name,
        f"{coverage.parameters:,}",
        str(len(symmetry.groups)),
        str(nested),
        str(streams),
        str(len(symmetry.rescalable)),
        str(len(symmetry.flippable)),
        f"{100 * coverage.covered:.1f} %",
        f"{symmetry.log10_size:.0f}",
        f"{coverage.seconds:.1f}",
        half,
    )


def _groups(name: str, symmetry: Symmetry) -> Table:
    table = Table("group", "units", "within", "stream", "lies on", box=None, title=name)
    for group, facts in symmetry.groups.items():
        places = dict.fromkeys(f"{a.tensor}[{a.axis}]" for a in facts.axes)
        lies = ", ".join(list(places)[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
        table.add_row(group, str(facts.size), facts.within or "", "yes" if facts.stream else "", lies)
    return table
