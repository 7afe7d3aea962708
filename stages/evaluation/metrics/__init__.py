"""Every metric of a set of networks. A new one is a function in a module of this folder; nothing else lists them."""

from typing import Any

from pydantic import Field, create_model

from stages.evaluation import modules_in
from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.metric import Metric

METRICS: dict[str, Metric[Any]] = {
    value.name: value for module in modules_in(__name__) for value in vars(module).values() if isinstance(value, Metric)
}
"""Name -> metric, in the order of the files and of the functions in them."""
COLUMNS: tuple[Metric[Any], ...] = tuple(
    sorted((m for m in METRICS.values() if m.column), key=lambda m: m.column.order if m.column else 0)
)
"""Those that tables show, from left to right."""


def figures_schema() -> dict[str, Any]:
    """The JSON schema of figures.json, with every metric that a set may have."""
    described = {name: f"{metric.heading}: {metric.meaning}." for name, metric in METRICS.items()}
    fields: dict[str, Any] = {
        name: (metric.type | None, Field(None, description=described[name])) for name, metric in METRICS.items()
    }
    entry: Any = create_model("SetFigures", __base__=SetFigures, **fields)
    by_name: Any = (dict[str, entry], Field(description=Figures.model_fields["sets"].description))
    return create_model("Figures", __base__=Figures, sets=by_name).model_json_schema(by_alias=True)
