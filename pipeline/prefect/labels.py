"""Names on Prefect's pages: of the configurations that its form offers, of runs, and their tags."""

from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.runtime import flow_run
from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from pipeline.configurations import names
from pipeline.runner import Runner

KEY_DIGITS = 8
"""Digits of a report's key in a run's name; `dwf plan` shows them all."""


class Configuration:
    """A string that Prefect's form lets choose among the built-in experiments, or write as a path."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        del schema, handler
        built_in = [*names("*.yaml"), *names("public/*.yaml")]
        return {
            "anyOf": [  # the form has a tab for each, called by its title
                {"title": "built in", "type": "string", "enum": built_in},
                {"title": "path", "type": "string"},
            ]
        }


def label(run: UUID, runner: Runner) -> None:
    """Name a flow run after its experiment and its report's key; add the experiment, data sets and device as tags."""
    experiment = runner.experiment
    key = runner.plan()[-1].key
    with get_client(sync_client=True) as client:
        client.update_flow_run(
            run, name=f"{experiment.name} {key[:KEY_DIGITS]}", tags=sorted({*flow_run.tags, *_tags(runner)})
        )


def _tags(runner: Runner) -> set[str]:
    """The experiment, its data sets, and cpu or cuda."""
    from stages.context import pick_device

    experiment = runner.experiment
    return {experiment.name, *experiment.zoo.datasets, pick_device(experiment.device).type}
