"""The evaluation of networks in Python: their score and novelty beside members and baselines, on any data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from pipeline.library.network import wrapped
from pipeline.library.networks import Networks
from stages.artifacts.members import WEIGHTS, dataset_of, network_of, open_weights
from stages.context import Context, pick_device, torch_threads
from stages.datasets import Test, load_test
from stages.errors import UsageError
from stages.evaluation.figures import Figures, SetFigures
from stages.evaluation.inputs import EvaluationInputs, comparable
from stages.evaluation.metric import Metric
from stages.evaluation.metrics import COLUMNS
from stages.evaluation.metrics.performance import loss, score
from stages.evaluation.metrics.two_sample import two_sample
from stages.evaluation.sets import SetToMeasure, sets
from stages.evaluation.verdict import verdict
from stages.params.evaluate import EvaluateParams
from stages.reporting.sentences import answer_text
from stages.reporting.tables import sets_table
from stages.scores import score_name
from stages.store.manifest import read_manifest
from stages.store.weights import Weights, write_weights
from stages.trust import trusting

if TYPE_CHECKING:
    from pipeline.library.run import Run

Data = Iterable[Sequence[Tensor]] | tuple[Tensor, Tensor] | Dataset
"""Batches of (inputs, targets), such as a DataLoader gives, a pair of tensors, or a data set of such pairs."""
MEASURED = (*(metric for metric in COLUMNS if metric.column and metric.column.brief), loss)
"""What the terminal's table shows, and the loss."""
KEPT = ("network", "dataset", "batchnorm", "keep_fraction", "condition", "canonical")
"""Attributes of sampled networks that say how they were completed and selected, as all others are to be."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of the networks given (`generated`), members, held-out members and baselines, all treated alike.

    `figures` are those of figures.json, as far as they were measured here.
    """

    figures: Figures

    def to_pandas(self) -> pd.DataFrame:
        """A row per set: role, number of networks, `score` in [0, 1] (a correlation in a regression) with its standard
        deviation, the other metrics by name (summaries by their mean), and `loss` in nats or squared error.
        """
        rows = {name: self._row(entry) for name, entry in self.figures.sets.items()}
        return pd.DataFrame.from_dict(rows, orient="index").dropna(axis="columns", how="all")

    def _row(self, entry: SetFigures) -> dict[str, Any]:
        summary = score.of(entry)
        numbers = {metric.name: metric.number(entry) for metric in MEASURED}
        spread = {"score": summary.mean, "score_std": summary.std} if summary else {}
        return {"role": entry.role, "networks": entry.networks, **spread, **numbers}

    @property
    def table(self) -> pd.DataFrame:
        """The same as text, with headings and units as in the report."""
        shown = sets_table(self.figures, brief=True)
        assert shown is not None
        headings = [heading for heading, _ in shown.columns]
        table = pd.DataFrame([row.cells for row in shown.rows], [row.name for row in shown.rows], headings)
        losses = {name: loss.number(entry) for name, entry in self.figures.sets.items()}
        if any(value is not None for value in losses.values()):
            table["Loss"] = [f"{losses[name]:.3f}" for name in table.index]
        return table

    @property
    def _answers(self) -> str:
        answers = self.figures.verdict.model_dump()
        return ", ".join(f"{k.replace('_', ' ')}: {answer_text(v)}" for k, v in answers.items() if v is not None)

    def __str__(self) -> str:
        return "\n".join([self.table.to_string(), *([self._answers] if self._answers else [])])

    def __repr__(self) -> str:
        return f"<evaluation of {self.figures.sets['generated'].networks} networks: {self._answers}>"

    def _repr_html_(self) -> str:
        return f"{self.table.to_html()}<p>{escape(self._answers)}</p>"


def evaluate(run: "Run", networks: Sequence[nn.Module], data: Data | None, *, baselines: bool) -> Evaluation:
    """Measure networks as the stage evaluate does; see `Run.evaluate`."""
    if not len(networks):
        raise UsageError("evaluate: found no networks, expected one or more")
    packed = open_weights(run.stage("pack"))
    recorded = read_manifest(run.stage("evaluate").path).params if "evaluate" in run.stages else {}
    params = EvaluateParams.model_validate(recorded).model_copy(update={"ensemble_sizes": ()})
    trust, few = trusting(run.where.trust), torch_threads(run.where.threads)
    with trust, few, TemporaryDirectory(prefix="dwf-") as folder:
        ctx = Context(Path(folder), run.where.data_root, pick_device(run.where.device), run.where.threads)
        sampled = _stored(run, networks, packed, ctx.out / WEIGHTS)
        packed = comparable(packed, sampled, ctx.out / "sets")
        test = _own(data, packed) if data is not None else _of_the_zoo(packed, ctx)
        inputs = EvaluationInputs(packed, sampled, run.stage("canonicalize").path, test, params, ctx)
        if test:
            _check_targets(test, inputs.completion.module, ctx)
        chosen = [each for each in sets(inputs) if baselines or each.role != "baseline"]
        metrics = [metric for metric in MEASURED if baselines or metric is not two_sample]
        measured = {each.name: _measured(each, inputs, metrics) for each in chosen}
        reference = inputs.reference
        figures = Figures(
            sets=measured,
            score=score_name(test.targets) if test else None,
            test_examples=len(test.targets) if test else None,
            bar=reference.bar,
            tau=reference.tau,
            tolerance=reference.tolerance,
            verdict=verdict(measured),
        )
    return Evaluation(figures)


def _stored(run: "Run", networks: Sequence[nn.Module], packed: Weights, path: Path) -> Weights:
    """The networks as a store of sampled ones: parameters alone, since buffers are measured anew for all alike."""
    if isinstance(networks, Networks) and networks.ref.stage == "sample":
        attrs = {name: networks.store.attrs[name] for name in KEPT if name in networks.store.attrs}
    else:
        own = read_manifest(run.stage("sample").path).params if "sample" in run.stages else {}
        how = {name: own[name] for name in ("batchnorm", "condition") if name in own}
        attrs = {name: packed.attrs[name] for name in ("network", "dataset")} | how | {"canonical": False}
    if isinstance(networks, Networks):
        rows = networks.weights[:, : packed.layout.size]
    else:
        rows = torch.stack([packed.layout.flatten(_parameters(network)) for network in networks])
    write_weights(path, packed.layout, [f"network-{i:05d}" for i in range(len(rows))], rows, {}, attrs)
    return Weights(path)


def _parameters(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().cpu() for name, p in wrapped(network).named_parameters()}


def _measured(chosen: SetToMeasure, inputs: EvaluationInputs, metrics: Sequence[Metric[Any]]) -> SetFigures:
    """A set's figures, of the metrics that it has."""
    networks = chosen.measured(inputs)
    figures = {metric.name: metric.measure(networks)[0] for metric in metrics}
    facts = {"role": chosen.role, "family": networks.family, "networks": len(networks.rows)}
    strength = chosen.baseline is not None and chosen.baseline.any_strength
    known = {name: figure for name, figure in figures.items() if figure is not None}
    return SetFigures(**facts, any_strength=strength, **known)  # type: ignore[arg-type]


def _of_the_zoo(packed: Weights, ctx: Context) -> Test | None:
    dataset = dataset_of(packed)
    return load_test(dataset, ctx.data_root) if dataset else None


def _own(data: Data, packed: Weights) -> Test:
    """The caller's data as one batch. Raises UsageError unless inputs are as the networks take them."""
    if isinstance(data, Dataset):
        data = DataLoader(data, batch_size=1000)
    batches: list[Any] = [data] if isinstance(data, tuple) and isinstance(data[0], Tensor) else list(data)
    if not batches or any(len(batch) != 2 for batch in batches):
        raise UsageError("evaluate: data must be batches of (inputs, targets), or a pair of tensors")
    inputs, targets = (torch.cat([torch.as_tensor(batch[i]) for batch in batches]) for i in (0, 1))
    network = network_of(packed)
    if prod(inputs.shape[1:]) != prod(network.shape) or len(inputs) != len(targets):
        raise UsageError(
            f"evaluate: found inputs {list(inputs.shape)} and targets {list(targets.shape)}, expected "
            f"[examples, {', '.join(map(str, network.shape))}] and [examples]"
        )
    numbers = targets.is_floating_point()
    targets = targets.squeeze(-1) if numbers and targets.ndim == 2 else targets
    return Test(
        inputs.float() if network.tokens is None else inputs.long(), targets.float() if numbers else targets.long()
    )


@torch.no_grad()
def _check_targets(test: Test, module: nn.Module, ctx: Context) -> None:
    """Raise UsageError unless targets are of the kind that the networks predict."""
    outputs = module.eval()(test.inputs[:2].to(ctx.device))
    regression = test.targets.is_floating_point()
    if regression != (outputs.ndim == 1) or test.targets.ndim != 1:
        expected = "float numbers [examples]" if outputs.ndim == 1 else "int64 classes [examples]"
        raise UsageError(
            f"evaluate: found targets {test.targets.dtype} {list(test.targets.shape)}, expected {expected}"
        )
    if not regression and not 0 <= int(test.targets.min()) <= int(test.targets.max()) < outputs.shape[-1]:
        low, high = int(test.targets.min()), int(test.targets.max())
        raise UsageError(f"evaluate: found classes {low} to {high}, expected 0 to {outputs.shape[-1] - 1}")
