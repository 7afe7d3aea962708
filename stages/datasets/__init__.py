"""Data sets as three splits of distinct types, so that nobody can fit on what only `evaluate` may see."""

from stages.datasets.splits import (
    Test,
    Train,
    Validation,
    check_test,
    describe_inputs,
    learned,
    load_fitting,
    load_test,
    pixel_normalization,
)

__all__ = [
    "Test",
    "Train",
    "Validation",
    "check_test",
    "describe_inputs",
    "learned",
    "load_fitting",
    "load_test",
    "pixel_normalization",
]
