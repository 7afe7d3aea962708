"""Every trivial baseline. A new one is a module of this folder; nothing else lists them."""

from stages.evaluation import modules_in
from stages.evaluation.baseline import Baseline

BASELINES: tuple[Baseline, ...] = tuple(
    sorted(
        (value for module in modules_in(__name__) for value in vars(module).values() if isinstance(value, Baseline)),
        key=lambda baseline: baseline.order,
    )
)
"""In the order of the report."""
