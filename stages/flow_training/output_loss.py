"""How far a velocity's error moves the outputs of the network that it leads to."""

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
from stages.flow.spaces.tokens import Tokens
from stages.flow_training.data import Points
from stages.nets.registry import build
from stages.nets.stacked import forward, stackable
from stages.params.dataset import dataset_from
from stages.store.layout import Layout

EXAMPLES = 16
"""Training examples whose outputs are looked at in a step."""


@dataclass(frozen=True)
class OutputError:
    """The error of a velocity as networks feel it: in their outputs on training examples, to first order.

    Weights that hardly matter to what a network does count little in it. It is a squared length of the error that depends
    on where the path is and not on where it leads, so the best velocity is the same as with plain squares: the mean of
    all that may follow. What changes is on which errors a velocity network of finite size spends itself.
    """

    module: nn.Module
    layout: Layout
    tokens: Tokens
    inputs: Tensor

    def __call__(self, path: PathSample, velocity: Float[Tensor, "batch dim"], g: torch.Generator) -> Tensor:
        """Mean squared error of the outputs' velocity, network by network in units of its own mean square."""
        examples = self.inputs[torch.randint(len(self.inputs), (EXAMPLES,), generator=g).to(self.inputs.device)]
        end = self.tokens.decode((path.x_t + (1 - path.t).unsqueeze(1) * velocity).detach())
        asked, found = (self._outputs(end, self.tokens.push(v), examples) for v in (path.velocity, velocity))
        return ((found - asked).square() / found.detach().square().mean((1, 2), keepdim=True)).mean()

    def _outputs(self, rows: Tensor, direction: Tensor, examples: Tensor) -> Float[Tensor, "batch examples outputs"]:
        """How outputs move as weights do."""

        def outputs(rows: Tensor) -> Tensor:
            return forward(self.module, self.layout.unflatten(rows), examples, shared=True)

        with warnings.catch_warnings():  # torch's own first use of what it has deprecated
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
            return jvp(outputs, (rows,), (direction,))[1]


def output_error_of(points: Points, ctx: Context) -> OutputError:
    """The output error for these members, on their data set's training examples.

    Raises UsageError where there is no single data set, or networks don't run side by side.
    """
    packed, module = points.packed, build(network_of(points.packed)).eval()
    if packed.attrs["dataset"] is None or not stackable(module):
        raise UsageError(
            "fit.output_loss_weight needs small chains of Linear and Conv2d layers and one data set; set it to 0"
        )
    train, _ = load_fitting(dataset_from(packed.attrs["dataset"]), ctx.data_root)
    assert isinstance(points.space, Tokens), "parameters are checked for this"
    return OutputError(module.to(ctx.device), packed.layout, points.space.to(ctx.device), train.inputs.to(ctx.device))
