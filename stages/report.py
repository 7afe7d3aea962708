"""Stage 7: the evaluation as a page, from its figures alone."""

from typing import Any

from stages.context import Context
from stages.params.base import Params
from stages.reporting.lineage import about
from stages.reporting.page import write_report
from stages.store.files import read_json
from stages.store.refs import Ref


def report(evaluated: Ref, params: Params, ctx: Context) -> dict[str, Any]:
    """Render report.html from figures.json. Nothing is measured here."""
    del params
    figures = read_json(evaluated.path / "figures.json")
    run = about(evaluated)
    speed = {"networks_per_minute": run.get("networks_per_minute")}
    write_report(ctx.out / "report.html", figures | speed, run)
    return {"verdict": figures["verdict"]["text"]}
