"""The dag: six stages, their report, and what each needs of the others.

Whoever passes `call` decides what calling a stage means: planning it, running it here, or as a Prefect task.
"""

from typing import Protocol, TypeVar

T = TypeVar("T")

STAGES = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate", "report")


class Call(Protocol[T]):
    """A way to call a stage."""

    def __call__(self, stage: str, /, **upstream: T) -> T:
        """The stage's result, given what it needs by name."""
        ...


def dag(call: Call[T]) -> T:
    """From seeds to new networks, evaluated, and their report."""
    zoo = call("zoo")
    canonical = call("canonicalize", zoo=zoo)
    packed = call("pack", zoo=zoo, canonical=canonical)
    fitted = call("fit", packed=packed)
    sampled = call("sample", packed=packed, fitted=fitted)
    evaluated = call("evaluate", zoo=zoo, canonical=canonical, packed=packed, fitted=fitted, sampled=sampled)
    return call("report", evaluated=evaluated)
