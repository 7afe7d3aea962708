"""Ensembles as one ONNX file: the mean of several networks' probabilities, or of the numbers that they predict."""

import copy
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stages.artifacts.export import Exportable, exportable, writing
from stages.errors import DwfError, UsageError
from stages.exporting.audit import Audit, audit_of
from stages.nets.registry import example_input
from stages.params.own_data import OwnDataset
from stages.params.splits import Labelled

NEEDED = ("onnx", "onnxscript")
LARGEST = 2**30
"""Bytes of weights beyond which they are in a file of their own, since an ONNX file can't have 2 GiB."""


class Ensemble(nn.Module):
    """The mean over networks of their probabilities, or of their outputs as they are."""

    def __init__(self, networks: Sequence[nn.Module], probabilities: bool) -> None:
        """Of networks with outputs [examples, ...]: logits over the last axis if there are to be probabilities."""
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.probabilities = probabilities

    def forward(self, inputs: Tensor) -> Tensor:
        """Mean predictions [examples, ...]."""
        outputs = [network(inputs) for network in self.networks]
        return torch.stack([out.softmax(-1) if self.probabilities else out for out in outputs]).mean(0)


def export_ensemble(artifact: Path, file: Path, names: Sequence[str] = ()) -> int:
    """Write the ensemble of networks, all or those named, for any number of examples at once. Returns how many.

    Its input is `inputs`, its output `probabilities` or, in a regression and without data, `mean`; the file's metadata
    say what networks are given. Raises UsageError if onnx isn't installed, DwfError if torch can't export them.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(f"--onnx needs {' and '.join(missing)}; install the extra: uv sync --extra onnx")
    networks = exportable(artifact)
    chosen = networks.chosen(names)
    ensemble = Ensemble([_module(networks, name) for name in chosen], _has_classes(networks, audit_of(networks)))
    program = _exported(ensemble.eval(), example_input(networks.network))
    facts = {"networks": " ".join(chosen), "inputs": networks.facts["inputs"], "key": networks.manifest.key}
    program.model.metadata_props.update({name: str(value) for name, value in facts.items() if value})
    size = sum(tensor.nbytes for tensor in ensemble.state_dict().values())
    with writing(file.absolute().parent):
        program.save(str(file), external_data=size > LARGEST)
    return len(chosen)


def _module(networks: Exportable, name: str) -> nn.Module:
    module = copy.deepcopy(networks.module)
    module.load_state_dict(networks.state(name))
    return module


def _has_classes(networks: Exportable, audit: Audit | None) -> bool:
    """Whether outputs are logits of classes, by the evaluation or else by the data; without data nobody knows."""
    if audit and audit.figures.score:
        return audit.figures.score == "accuracy"
    dataset = networks.dataset
    return bool(dataset.class_names) if isinstance(dataset, OwnDataset) else isinstance(dataset, Labelled)


def _exported(ensemble: Ensemble, inputs: Tensor) -> Any:
    """Torch's ONNX program, with a free number of examples."""
    try:
        return torch.onnx.export(
            ensemble,
            (inputs,),
            dynamo=True,
            input_names=["inputs"],
            output_names=["probabilities" if ensemble.probabilities else "mean"],
            dynamic_shapes={"inputs": {0: torch.export.Dim("examples")}},
            verbose=False,
        )
    except Exception as error:
        first = " ".join(str(error).split("\n")[0].split())
        raise DwfError(f"torch can't export these networks to ONNX: {type(error).__name__}: {first}") from error
