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


def dag(call: Call[T], *, fits: bool = True) -> T:
    """From seeds to new networks, evaluated, and their report; another generator's networks need no fit of ours."""
    zoo = call("zoo")
    canonical = call("canonicalize", zoo=zoo)
    packed = call("pack", zoo=zoo, canonical=canonical)
    flow = {"fitted": call("fit", packed=packed)} if fits else {}
    sampled = call("sample", packed=packed, **flow)
    evaluated = call("evaluate", zoo=zoo, canonical=canonical, packed=packed, **flow, sampled=sampled)
    return call("report", evaluated=evaluated)
