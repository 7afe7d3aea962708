"""TensorBoard events of a fit: losses, histograms of weights and of generated points, and hyper-parameters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stages.params.fit import FitParams
from stages.params.flat import flat

FOLDER = "events"
PREFIX = "fit/"


@dataclass(frozen=True)
class Events:
    """Writes to one folder; nothing that it is told is changed by it."""

    writer: Any  # torch's SummaryWriter, which takes half a second to import

    def row(self, columns: Sequence[str], values: Sequence[float]) -> None:
        """A row of a table whose first column is the step."""
        for name, value in zip(columns[1:], values[1:], strict=True):
            self.writer.add_scalar(f"{PREFIX}{name}", value, int(values[0]))

    def points(self, points: Tensor, step: int) -> None:
        """The values of generated points, in the flow's space."""
        self.writer.add_histogram(f"{PREFIX}generated", points, step)

    def weights(self, network: nn.Module, step: int) -> None:
        """The values of each tensor of the velocity network."""
        for name, parameter in network.named_parameters():
            self.writer.add_histogram(f"velocity/{name}", parameter.detach().cpu(), step)

    def parameters(self, params: FitParams, columns: Sequence[str]) -> None:
        """The parameters of the fit, so that fits can be compared by them and by the last values of these columns."""
        from torch.utils.tensorboard.summary import hparams

        metrics = {f"{PREFIX}{name}": 0.0 for name in columns[1:]}
        for summary in hparams(flat(params.model_dump(mode="json")), metrics):
            self.writer.file_writer.add_summary(summary)


@contextmanager
def events(folder: Path, step: int) -> Iterator[Events]:
    """Events below a folder; those from `step` on, of a killed fit, no longer count."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / FOLDER), purge_step=step or None)
    try:
        yield Events(writer)
    finally:
        writer.close()
