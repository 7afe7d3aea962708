"""Rules of operations: the structure of an operation's output axes, and what it reveals about its inputs' axes.

Each module holds the rules of one kind of operation with a table RULES, rule -> its operations' names.
"""

from typing import Any

import torch

from stages.symmetry.rules import (
    contractions,
    convolutions,
    elementwise,
    indexing,
    normalization,
    pieces,
    recurrent,
    reductions,
    shapes,
)
from stages.symmetry.rules.rule import Rule

KINDS = (contractions, convolutions, elementwise, indexing, normalization, pieces, recurrent, reductions, shapes)
RULES: dict[str, Rule] = {
    operation: rule for kind in KINDS for rule, operations in kind.RULES.items() for operation in operations.split()
}
HOMOGENEOUS = (
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d relu dropout view reshape flatten "
    "transpose permute contiguous clone max_pool2d avg_pool2d adaptive_avg_pool2d mean sum cat squeeze unsqueeze"
)
"""The operations that commute with a positive rescaling of units (linear maps with the powers noted)."""


def rule_for(operation: str, target: Any) -> Rule | None:
    """The rule of an operation of this name, None if there is none; what torch tags as pointwise needs no entry."""
    if operation not in RULES and torch.Tag.pointwise in getattr(target, "tags", ()):
        return elementwise.pointwise
    return RULES.get(operation)
