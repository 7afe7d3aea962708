"""One network of a run, as a torch module that can be saved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stages.errors import DwfError
from stages.store.checkpoints import save_tensors


class Network(nn.Module):
    """A network of a run as a torch module in evaluation mode; `module` is the architecture's own.

    `name` is the network's in its store. `config` says what it is: its architecture and data set, what it is to be
    given of an input, and the stage and key of its artifact.
    """

    def __init__(self, module: nn.Module, name: str, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.module, self.name, self.config = module, name, dict(config)
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of the architecture's own module, logits [batch, classes] or predicted numbers [batch]."""
        return self.module(inputs)

    def push(self, folder: Path | str) -> Path:
        """Write `<folder>/<name>/model.safetensors` and `config.json`, as model hubs have them; returns that folder.

        The tensors are `module`'s state dict. Nothing is uploaded. Raises DwfError if the folder can't be written.
        """
        path = Path(folder) / self.name
        save(path / "model.safetensors", self.module, self.config | {"name": self.name})
        return path


def save(file: Path, module: nn.Module, config: Mapping[str, Any]) -> None:
    """Write a module's state dict as safetensors, and `config.json` beside it.

    Raises DwfError if that can't be written.
    """
    tensors = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_tensors(file, tensors, config)
    except OSError as error:
        raise DwfError(f"{file.parent}: can't write here ({error.strerror}); name another folder") from error


def wrapped(network: nn.Module) -> nn.Module:
    """The architecture's own module of a network, whether or not it comes from a run."""
    return network.module if isinstance(network, Network) else network
