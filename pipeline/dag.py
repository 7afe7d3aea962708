"""The dag: six stages, the report of what they found, and who needs whom. Whoever passes `call` decides what calling a stage means."""

from typing import Protocol, TypeVar

T = TypeVar("T")

STAGES = ("zoo", "canonicalize", "pack", "fit", "sample", "evaluate", "report")


class Call(Protocol[T]):
    """How a stage is called: planned, run in this process, or run as a Prefect task."""

    def __call__(self, stage: str, /, **upstream: T) -> T:
        """The stage's result, given what it needs by name."""
        ...


def dag(call: Call[T]) -> T:
    """From seeds to evaluated new networks."""
    zoo = call("zoo")
    canonical = call("canonicalize", zoo=zoo)
    packed = call("pack", zoo=zoo, canonical=canonical)
    fitted = call("fit", packed=packed)
    sampled = call("sample", packed=packed, fitted=fitted)
    evaluated = call("evaluate", zoo=zoo, canonical=canonical, packed=packed, fitted=fitted, sampled=sampled)
    return call("report", evaluated=evaluated)
