"""Downloads of the report: files within the page, as data URLs, so that whoever has the page has the figures."""

import base64
import csv
import json
from io import StringIO
from typing import NamedTuple

from stages.evaluation.figures import Figures, json_of
from stages.evaluation.metrics import METRICS
from stages.reporting.lineage import Run


class Download(NamedTuple):
    """A file within the page: its name, what it holds, and its content."""

    name: str
    about: str
    url: str


def downloads(figures: Figures, run: Run) -> list[Download]:
    """The table of all sets, all figures, and the configuration that gives them again."""
    files = [
        _download("figures.csv", "a line per set of networks", "text/csv", figures_csv(figures)),
        _download("figures.json", "all that was measured", "application/json", json.dumps(json_of(figures))),
    ]
    if run.config:
        files.append(_download(run.file, "the configuration, with all defaults", "application/yaml", run.config))
    return files


def _download(name: str, about: str, kind: str, text: str) -> Download:
    return Download(name, about, f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}")


def figures_csv(figures: Figures) -> str:
    """A line per set with every metric's one number, in full precision; empty where it wasn't measured."""
    metrics, text = [metric for metric in METRICS.values() if metric.is_number], StringIO()
    writer = csv.writer(text)
    writer.writerow(["set", "role", "networks", *(metric.name for metric in metrics)])
    for name, entry in figures.sets.items():
        values = (metric.number(entry) for metric in metrics)
        writer.writerow([name, entry.role, entry.networks, *("" if v is None else v for v in values)])
    return text.getvalue()
