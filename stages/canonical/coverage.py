"""How much of a network its derived symmetry table covers, with the proof and its negative control."""

import time
from dataclasses import dataclass

from stages.nets.registry import build, example_input
from stages.params.network import Network
from stages.symmetry.derive import Derived, derive
from stages.symmetry.prove import idle_halves


@dataclass(frozen=True)
class Coverage:
    """What was derived, and on what share of the parameters at least one group lies.

    `idle`: groups of which one half alone changes nothing, so that their proof says nothing. `seconds` are for the
    graph, the table and the proof; the negative control comes on top.
    """

    derived: Derived
    parameters: int
    touched: float
    seconds: float
    idle: tuple[str, ...]


def cover(network: Network) -> Coverage:
    """Derive and prove the table of a network with its own initialisation, and try every group by half."""
    module, example = build(network), example_input(network)
    started = time.monotonic()
    derived = derive(module, example)
    seconds = time.monotonic() - started
    sizes = {name: p.numel() for name, p in module.named_parameters()}
    touched = sum(sizes[name] for name in derived.symmetry.tensors if name in sizes) / sum(sizes.values())
    return Coverage(
        derived, sum(sizes.values()), touched, seconds, tuple(idle_halves(module, example, derived.symmetry))
    )
