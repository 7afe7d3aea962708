"""Runs of the dag from Python: their artifacts, the networks in them, and further samples and evaluations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from pipeline.config import Experiment
from pipeline.run_records import RecordedRun, recorded
from pipeline.runner import Runner
from stages.errors import DwfError, UsageError
from stages.evaluation.figures import Figures, read_figures
from stages.params.sample import SampleParams
from stages.reporting.summary import ReportSummary, read_summary
from stages.store.manifest import read_manifest
from stages.store.refs import Ref
from stages.trust import trusting

if TYPE_CHECKING:  # torch is loaded by what needs it
    from torch import nn

    from pipeline.library.evaluation import Data, Evaluation
    from pipeline.library.networks import Networks
    from stages.datasets import Validation


@dataclass(frozen=True)
class Run:
    """A run of the dag, as far as it got: an artifact of each stage, by the stage's name.

    `where` says where further networks are stored and with what they are computed: an experiment of which only the
    fields outside of sections count.
    """

    stages: Mapping[str, Ref]
    where: Experiment

    def stage(self, name: str) -> Ref:
        """The artifact of a stage: its key, its folder and its digest.

        Raises UsageError if the run has none.
        """
        if name not in self.stages:
            raise UsageError(f"{name}: this run has no such artifact; it has those of {', '.join(self.stages)}")
        return self.stages[name]

    @cached_property
    def experiment(self) -> Experiment:
        """What was run, as its artifacts have it.

        Raises DwfError for a run of imported networks, whose artifacts hold the content of files, not their names.
        """
        if "zoo" in self.where.model_fields_set:
            return self.where
        sections = {stage: self._params(stage) for stage in self.stages if stage != "report"}
        fields = self.where.model_dump(include=set(OUTSIDE))
        try:
            with trusting(self.where.trust):
                return Experiment.model_validate({**fields, **sections})
        except ValidationError as error:
            at = ".".join(map(str, error.errors()[0]["loc"]))
            raise DwfError(
                f"{self.where.name}: {at} can't be told from the artifacts; load the configuration instead"
            ) from error

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.stage("report").path / "report.html"

    @cached_property
    def figures(self) -> Figures:
        """All that was measured."""
        return read_figures(self.stage("evaluate").path)

    @cached_property
    def members(self) -> "Networks":
        """The networks that the flow learned from, as they were trained."""
        return self._trained("train")

    @cached_property
    def heldout(self) -> "Networks":
        """The networks that the flow never saw, as they were trained."""
        return self._trained("held-out")

    @cached_property
    def generated(self) -> "Networks":
        """The networks that the run sampled."""
        return self._sampled(self.stage("sample"))

    @cached_property
    def validation(self) -> "Validation":
        """Examples that no member was trained on, which no test data are among: `inputs` as networks take them, and
        `targets`.

        Raises UsageError for a zoo without data, DataMissing.
        """
        from stages.artifacts.members import dataset_of, open_weights
        from stages.datasets import load_fitting

        condition = self._params("sample").get("condition") if "sample" in self.stages else None
        if (dataset := dataset_of(open_weights(self.stage("pack")), condition)) is None:
            raise UsageError(f"{self.where.name}: this zoo has no data")
        return load_fitting(dataset, self.where.data_root)[1]

    def sample(self, networks: int | None = None, *, seed: int | None = None, **params: Any) -> "Networks":
        """Draw networks from the run's flow, by the run's own parameters where none are given.

        `params` are those of the stage `sample`, such as `temperature=0.9`. The networks are an artifact of the store
        like any other: asked for again, they are read. Raises UsageError naming a parameter that is wrong.
        """
        upstream = {"packed": self.stage("pack"), "fitted": self.stage("fit")}
        given = {"networks": networks, "seed": seed}
        chosen = self._params("sample") if "sample" in self.stages else {}
        chosen |= {name: value for name, value in given.items() if value is not None} | params
        try:
            values = SampleParams.model_validate(chosen)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"sample.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        runner = Runner(self.where.model_copy(update={"sample": values}))
        keys = {up.stage: up.key for up in upstream.values()} | {"sample": runner.key("sample", upstream)}
        with recorded(runner.root, [RecordedRun.of(runner.experiment, keys)]):
            ref, _ = runner.run("sample", upstream)
        return self._sampled(ref)

    def evaluate(
        self, networks: "Sequence[nn.Module] | None" = None, data: "Data | None" = None, *, baselines: bool = True
    ) -> "Evaluation":
        """Score networks beside members, held-out members and trivial baselines, and compare their weights.

        `networks` are of any origin, but of the zoo's architecture; None: those that the run sampled. `data` is a
        loader of (inputs, targets) or a pair of tensors, inputs as networks take them, targets int64 classes or float
        numbers; None: the zoo's test data. Without `baselines` these are left out, and so is the classifier that tells
        sets apart (AUC), which takes most of the time.

        Raises LayoutMismatch for another architecture, UsageError for data that don't fit it, DataMissing.
        """
        from pipeline.library.evaluation import evaluate

        return evaluate(self, self.generated if networks is None else networks, data, baselines=baselines)

    def _params(self, stage: str) -> dict[str, Any]:
        return dict(read_manifest(self.stage(stage).path).params)

    def _trained(self, split: str) -> "Networks":
        from pipeline.library.networks import Networks
        from stages.artifacts.members import open_zoo

        zoo = open_zoo(self.stage("zoo"))
        chosen = np.flatnonzero(zoo.facts("split") == split).tolist()
        return Networks(self.stage("zoo"), zoo, chosen, self.where.trust)

    def _sampled(self, ref: Ref) -> "Networks":
        from pipeline.library.networks import Networks
        from stages.artifacts.members import open_weights

        return Networks(ref, open_weights(ref), trust=self.where.trust)

    @cached_property
    def _summary(self) -> ReportSummary:
        return read_summary(self.stage("report").path)

    def __repr__(self) -> str:
        last = list(self.stages)[-1]
        return f"<run of {self.where.name} up to {last} {self.stages[last].key}>"

    def __str__(self) -> str:
        if "report" not in self.stages:
            return repr(self)
        summary = self._summary
        return "\n".join([*summary.warnings, self._table().to_string(), "", summary.verdict])

    def _repr_html_(self) -> str:
        if "report" not in self.stages:
            return f"<pre>{escape(repr(self))}</pre>"
        summary = self._summary
        lines = [*summary.warnings, summary.verdict]
        return self._table().to_html() + "".join(f"<p>{escape(line)}</p>" for line in lines)

    def _table(self) -> pd.DataFrame:
        rows = self._summary.rows
        return pd.DataFrame([row.cells for row in rows], [row.name for row in rows], self._summary.columns)


OUTSIDE = ("name", "store_root", "data_root", "device", "threads")
"""Fields of an experiment that are no stage's parameters."""
