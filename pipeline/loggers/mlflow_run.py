"""A run in MLflow, by its client: `MLFLOW_TRACKING_URI` says where, `MLFLOW_EXPERIMENT_NAME` under which name."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from pipeline.loggers.tracker import PROJECT
from stages.params.flat import Scalar

KEY = "dwf.report"
"""Tag with the key of the report, by which a run is known."""
AT_ONCE = 100
"""Values sent together: the most that the API takes of parameters."""


@dataclass(frozen=True)
class MlflowRun:
    """A run by its id, as stages may end in different threads, and MLflow's own active run is a thread's."""

    client: MlflowClient
    id: str

    def parameters(self, values: Mapping[str, Scalar]) -> None:
        """As parameters of the run."""
        params = [Param(name, str(value)) for name, value in values.items()]
        for start in range(0, len(params), AT_ONCE):
            self.client.log_batch(self.id, params=params[start : start + AT_ONCE])

    def curves(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """As metrics with steps."""
        now = int(1000 * time.time())
        self._metrics([Metric(n, value, now, step) for step, row in rows.items() for n, value in row.items()])

    def figures(self, values: Mapping[str, float]) -> None:
        """As metrics without steps."""
        now = int(1000 * time.time())
        self._metrics([Metric(name, value, now, 0) for name, value in values.items()])

    def _metrics(self, metrics: Sequence[Metric]) -> None:
        for start in range(0, len(metrics), AT_ONCE):
            self.client.log_batch(self.id, metrics=metrics[start : start + AT_ONCE])

    def files(self, paths: Sequence[Path]) -> None:
        """As artifacts."""
        for path in paths:
            self.client.log_artifact(self.id, str(path))

    def finish(self, succeeded: bool) -> None:
        """With MLflow's status."""
        self.client.set_terminated(self.id, "FINISHED" if succeeded else "FAILED")


def open_run(name: str, key: str) -> MlflowRun | None:
    """A new run; None if there is a finished one with this key."""
    client, project = MlflowClient(), os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    found = client.get_experiment_by_name(project)
    experiment = found.experiment_id if found else client.create_experiment(project)
    if client.search_runs([experiment], f"tags.`{KEY}` = '{key}' and attributes.status = 'FINISHED'", max_results=1):
        return None
    return MlflowRun(client, client.create_run(experiment, tags={KEY: key}, run_name=name).info.run_id)
