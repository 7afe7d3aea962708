"""Freshly initialized networks, as the members began."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from stages.artifacts.members import network_of
from stages.evaluation.baseline import Level, baseline
from stages.evaluation.inputs import EvaluationInputs
from stages.nets.initialise import initialise
from stages.seeds import generator
from stages.store.weights import UNKNOWN, is_train


@baseline(order=60)
def fresh(inputs: EvaluationInputs) -> Iterator[Level]:
    """Untrained networks, their weights drawn as the members' initial ones or, if that isn't known, as layers do.

    Asks what networks do without any training.
    """
    yield Level("", lambda count, draw: fresh_networks(inputs, count), selected=False)


def fresh_networks(inputs: EvaluationInputs, count: int) -> Tensor:
    """Networks with initial weights such as the members began with, in canonical form."""
    packed, layout = inputs.packed, inputs.packed.layout
    kinds, rows = [str(kind) for kind in packed.facts("initialisation")[is_train(packed).numpy()]], []
    for i in range(count):
        kind: Any = kinds[i % len(kinds)]
        draw = generator(inputs.params.seed, "fresh", i)
        state = initialise(network_of(packed), "torch" if kind == UNKNOWN else kind, draw)
        rows.append(layout.flatten({slot.name: state[slot.name] for slot in layout.slots}))
    return inputs.canonical(torch.stack(rows), "fresh order")
