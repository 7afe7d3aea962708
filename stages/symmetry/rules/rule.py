"""The type of rules."""

from collections.abc import Callable
from typing import Any

from torch.fx import Node

from stages.symmetry.trace import Trace

Rule = Callable[[Trace, Node], Any]
"""Of what is known so far and an operation: the axes of its output, or a tuple of them.

A rule reads the axes of each argument once. What it fixes without a reason is reported under the operation's name.
"""
