"""Every metric of a set of networks. A new one is a function in a module of this folder; nothing else lists them."""

from typing import Any

from stages.discovery import modules_in
from stages.evaluation.metric import Metric

METRICS: dict[str, Metric[Any]] = {
    value.name: value for module in modules_in(__name__) for value in vars(module).values() if isinstance(value, Metric)
}
"""Name -> metric, in the order of the files and of the functions in them."""
COLUMNS: tuple[Metric[Any], ...] = tuple(
    sorted((m for m in METRICS.values() if m.column), key=lambda m: m.column.order if m.column else 0)
)
"""Those that tables show, from left to right."""
