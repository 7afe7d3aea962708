"""Small zoos in the formats of public ones, of networks that plain torch trained; nothing here knows of readers."""

import gzip
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn

State = dict[str, Tensor]
TRAIN = 1347
"""Training examples among the enlarged digits."""
KERAS_AXES = {4: (2, 3, 1, 0), 2: (1, 0)}
"""Rank of a weight -> torch's axes in Keras's order: OIHW -> HWIO, OI -> IO."""


def write_digits_as_mnist(root: Path) -> Path:
    """scikit-learn's digits at 28x28 pixels in MNIST's own files, TRAIN to train on and 450 to test on."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images, labels = enlarged_digits()
    for name, rows in (("train", slice(0, TRAIN)), ("t10k", slice(TRAIN, None))):
        _write_idx(folder / f"{name}-images-idx3-ubyte", images[rows])
        _write_idx(folder / f"{name}-labels-idx1-ubyte", labels[rows])
    return root


def _write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


@cache
def enlarged_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 28, 28] of bytes in a shuffled order, and their classes."""
    digits: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    pixels = np.kron(digits.images[order], np.ones((3, 3))) * 15.9
    return np.pad(pixels, ((0, 0), (2, 2), (2, 2))).astype(np.uint8), digits.target[order]


def mnist_inputs(channels: int = 1, size: int = 28, mean: float = 0.1307, std: float = 0.3081) -> tuple[Tensor, Tensor]:
    """The same images as networks see them: standardized, padded with black, grey in every channel; and classes."""
    images, labels = enlarged_digits()
    padding = (size - 28) // 2
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding)))
    inputs = (torch.from_numpy(padded).float() / 255 - mean) / std
    return inputs[:, None].repeat(1, channels, 1, 1), torch.from_numpy(labels)


def trained(make: Callable[[], nn.Module], count: int, inputs: Tensor, targets: Tensor, epochs: int = 3) -> list[State]:
    """State dicts of networks that were trained with Adam, each from a seed of its own."""
    return [_trained(make, seed, inputs, targets, epochs) for seed in range(count)]


def _trained(make: Callable[[], nn.Module], seed: int, inputs: Tensor, targets: Tensor, epochs: int) -> State:
    torch.manual_seed(seed)
    net = make().train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


@torch.no_grad()
def accuracy(net: nn.Module, state: Mapping[str, Tensor], inputs: Tensor, targets: Tensor) -> float:
    """Of the network with this state dict, in plain torch."""
    net.load_state_dict(state)
    return float((net.eval()(inputs).argmax(1) == targets).float().mean())


def write_run_folders(folder: Path, states: Sequence[State], accuracies: Sequence[float], **params: Any) -> None:
    """A folder per run with checkpoints of epochs 0 and 50, hyper-parameters, and lines of results from epoch 1 on."""
    for i, (state, score) in enumerate(zip(states, accuracies, strict=True)):
        run = folder / f"NN_tune_trainable_{i:05d}"
        for epoch, scale in ((0, 0.5), (50, 1.0)):
            inner = run / f"checkpoint_{epoch:06d}"
            inner.mkdir(parents=True)
            torch.save({name: scale * tensor for name, tensor in state.items()}, inner / "checkpoints")
        (run / "params.json").write_text(json.dumps({"model::type": "CNN", "optim::lr": 0.001 * (i + 1), **params}))
        lines = [{"training_iteration": e, "test_acc": score * e / 50, "config": {"seed": i}} for e in range(1, 51)]
        (run / "result.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.json").write_text(json.dumps({"optim::lr": [0.001, 0.01]}))  # the search's grid
    torch.save({"images": torch.zeros(2)}, folder / "dataset.pt")


@dataclass(frozen=True)
class Epoch:
    """One row of the matrix: a run's state dict after so many epochs."""

    run: int
    step: int
    state: State
    accuracy: float


def write_matrix(folder: Path, rows: Sequence[Epoch], activations: Sequence[str] = ("relu", "tanh")) -> None:
    """`weights.npy`, `layout.csv` and `metrics.csv.gz`, with Keras's names and order of axes."""
    folder.mkdir(parents=True)
    np.save(folder / "weights.npy", np.stack([keras_row(row.state) for row in rows]).astype(np.float32))
    (folder / "layout.csv").write_text("varname,start_idx,end_idx,shape\n" + "".join(_layout(rows[0].state)))
    header = "config.activation,config.learning_rate,modeldir,step,test_accuracy,train_loss\n"
    lines = [
        f"{activations[row.run % len(activations)]},{0.001 * (row.run + 1)},gs://runs/{row.run},{row.step},"
        f"{row.accuracy},{'' if row.run == 2 else 0.5}\n"
        for row in rows
    ]
    (folder / "metrics.csv.gz").write_bytes(gzip.compress((header + "".join(lines)).encode()))


def keras_row(state: State) -> np.ndarray:
    """A network's weights as Keras flattens them: biases and kernels in turn, channels last."""
    return np.concatenate([_in_keras(tensor).ravel() for _, tensor in _variables(state)])


def _in_keras(tensor: Tensor) -> np.ndarray:
    return tensor.permute(KERAS_AXES.get(tensor.ndim, (0,))).numpy()


def _variables(state: State) -> Iterator[tuple[str, Tensor]]:
    """Each layer's bias, then its kernel: the order of names."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    for i, layer in enumerate(layers):
        keras = "dense" if i == len(layers) - 1 else "conv2d" + (f"_{i}" if i else "")
        yield f"sequential/{keras}/bias:0", state[f"{layer}.bias"]
        yield f"sequential/{keras}/kernel:0", state[f"{layer}.weight"]


def _layout(state: State) -> Iterator[str]:
    start = 0
    for name, tensor in _variables(state):
        stop = start + tensor.numel()
        yield f'{name},{start},{stop},"{tuple(_in_keras(tensor).shape)}"\n'
        start = stop


def write_hub_cache(folder: Path, states: Sequence[State], accuracies: Sequence[float]) -> None:
    """A repository per model in the layout of Hugging Face's cache, with facts in the header."""
    for i, (state, score) in enumerate(zip(states, accuracies, strict=True)):
        repository = folder / f"models--someone--model-{i}"
        blob, snapshot = repository / "blobs" / f"{i:040x}", repository / "snapshots" / f"{i + 77:040x}"
        blob.parent.mkdir(parents=True)
        snapshot.mkdir(parents=True)
        config = json.dumps({"lr": 0.001 * (i + 1), "optimizer": "adam"})
        metadata = {"test_accuracy": str(score), "classes": str(i % 3), "config": config, "format": "pt"}
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, blob, metadata=metadata)
        (snapshot / "model.safetensors").symlink_to(blob)
