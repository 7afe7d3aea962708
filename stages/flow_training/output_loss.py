"""The error that a velocity's error causes in the outputs of the network that it leads to."""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import jvp

from stages.artifacts.members import network_of
from stages.context import Context
from stages.datasets import load_fitting
from stages.errors import UsageError
from stages.flow.path import PathSample
from stages.flow.spaces.base import Decoder
from stages.flow_training.data import FlowData
from stages.nets.registry import build
from stages.nets.stacked import forward, stackable
from stages.params.dataset import dataset_from
from stages.store.layout import Layout

EXAMPLES = 16
"""Training examples whose outputs are computed in a step."""


@dataclass(frozen=True)
class OutputLoss:
    """The error of a velocity in function space: in networks' outputs on training examples, to first order.

    Weights that hardly matter to a network's outputs count little in it. It is a squared length of the error in a
    metric that depends on the point of the path and not on where the path leads, so the best velocity is the same as
    with plain squares: the conditional mean. What changes is on which errors a velocity network of finite size spends
    its capacity.
    """

    module: nn.Module
    layout: Layout
    decoder: Decoder
    inputs: Tensor

    def __call__(self, path: PathSample, velocity: Float[Tensor, "batch dim"], g: torch.Generator) -> Tensor:
        """Mean squared error of the outputs' velocity, network by network in units of its own mean square."""
        examples = self.inputs[torch.randint(len(self.inputs), (EXAMPLES,), generator=g).to(self.inputs.device)]
        rows = self.decoder.decode_rows((path.x_t + (1 - path.t).unsqueeze(1) * velocity).detach())
        target, predicted = (
            self._output_velocity(rows, self.decoder.decode_velocity(v), examples) for v in (path.velocity, velocity)
        )
        return ((predicted - target).square() / predicted.detach().square().mean((1, 2), keepdim=True)).mean()

    def _output_velocity(
        self, rows: Tensor, direction: Tensor, examples: Tensor
    ) -> Float[Tensor, "batch examples outputs"]:
        """The derivative of the outputs as rows move in a direction."""

        def outputs(rows: Tensor) -> Tensor:
            return forward(self.module, self.layout.unflatten(rows), examples, shared=True)

        with warnings.catch_warnings():  # torch's own first use of what it has deprecated
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
            return jvp(outputs, (rows,), (direction,))[1]


def output_loss_of(data: FlowData, ctx: Context) -> OutputLoss:
    """The output loss for these members, on their data set's training examples.

    Raises UsageError where there is no single data set, or networks don't run side by side.
    """
    packed, module = data.packed, build(network_of(data.packed)).eval()
    if packed.attrs["dataset"] is None or not stackable(module):
        raise UsageError(
            "fit.output_loss_weight needs small chains of Linear and Conv2d layers and one data set; set it to 0"
        )
    train, _ = load_fitting(dataset_from(packed.attrs["dataset"]), ctx.data_root)
    inputs = train.inputs.to(ctx.device)
    return OutputLoss(module.to(ctx.device), packed.layout, data.space.decoder(ctx.device), inputs)
