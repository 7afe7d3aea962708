"""Images are read from files of exactly the form that torchvision reads, made up here, tiny."""

import gzip
import os
import pickle
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision.datasets import cifar, stl10, svhn

from stages.datasets import load_fitting, load_test
from stages.datasets.images import SOURCES
from stages.errors import DataMissing, UsageError
from stages.params.dataset import Images

COLOUR = ("cifar10", "cifar100", "stl10", "svhn")
SIZES = {"mnist": 28, "fashion_mnist": 28, "cifar10": 32, "cifar100": 32, "stl10": 96, "svhn": 32}


def write_idx(path: Path, values: np.ndarray) -> None:
    """MNIST's own format: a magic number with type and rank, the shape, the bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_cifar10(root: Path, train: np.ndarray, test: np.ndarray) -> None:
    """Pickled batches: rows of red, green and blue bytes, and labels."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for name, pixels in zip(names, [*np.array_split(train, 5), test], strict=True):
        entry = {"data": pixels.reshape(len(pixels), -1), "labels": (labels_of(pixels) % 10).tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))


def write_cifar100(root: Path, train: np.ndarray, test: np.ndarray) -> None:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for name, pixels in [("train", train), ("test", test)]:
        coarse = [99] * len(pixels)
        entry = {
            "data": pixels.reshape(len(pixels), -1),
            "coarse_labels": coarse,
            "fine_labels": labels_of(pixels).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(i) for i in range(100)]}))


def write_stl10(root: Path, train: np.ndarray, test: np.ndarray) -> None:
    """Bytes, column by column, and labels from 1; no unlabelled images."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for name, pixels in [("train", train), ("test", test)]:
        (folder / f"{name}_X.bin").write_bytes(pixels.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{name}_y.bin").write_bytes((labels_of(pixels) % 10 + 1).astype(np.uint8).tobytes())


def write_svhn(root: Path, train: np.ndarray, test: np.ndarray) -> None:
    """Matlab arrays [height, width, channels, examples]; the digit 0 is labelled 10."""
    for name, pixels in [("train", train), ("test", test)]:
        labels = labels_of(pixels) % 10
        values = {"X": pixels.transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)}
        scipy.io.savemat(root / f"{name}_32x32.mat", values)


WRITERS = {"cifar10": write_cifar10, "cifar100": write_cifar100, "stl10": write_stl10, "svhn": write_svhn}


def drawn(count: int, size: int, first: int) -> np.ndarray:
    """Random pixels [count, 3, size, size], but for a corner that numbers the images from `first`."""
    pixels = np.random.default_rng(first).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(first, first + count)
    return pixels


def labels_of(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, 0, 0, 0].astype(np.int64)


def pixels_of(name: str, inputs: torch.Tensor) -> np.ndarray:
    """Standardization undone."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (SOURCES[name].mean, SOURCES[name].std))
    return ((inputs * std + mean) * 255).round().numpy().astype(np.uint8)


@pytest.fixture
def colourful(tmp_path, monkeypatch):
    """Each colour data set with 20 training and 6 test images; only here any bytes pass for the authors' own."""
    monkeypatch.setenv("DWF_OFFLINE", "1")
    for module in (cifar, stl10, svhn):
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: Path(path).is_file())
    for name, write in WRITERS.items():
        write(tmp_path, drawn(20, SIZES[name], 0), drawn(6, SIZES[name], 50))
    return tmp_path


@pytest.mark.parametrize("name", COLOUR)
def test_colour_images_come_back_pixel_by_pixel_with_their_labels(colourful, name):
    train, validation = load_fitting(Images(name=name, validation=0.25), colourful)
    test = load_test(Images(name=name), colourful)
    assert [len(part.targets) for part in (train, validation, test)] == [15, 5, 6]
    written = np.concatenate([drawn(20, SIZES[name], 0), drawn(6, SIZES[name], 50)])
    for part in (train, validation, test):
        assert (part.inputs.dtype, part.targets.dtype) == (torch.float32, torch.int64)
        assert part.inputs.is_contiguous()
        found = pixels_of(name, part.inputs)
        numbers = labels_of(found)
        assert np.array_equal(found, written[np.where(numbers < 50, numbers, numbers - 30)])
        assert part.targets.tolist() == (numbers % (100 if name == "cifar100" else 10)).tolist()
    numbers = [labels_of(pixels_of(name, part.inputs)).tolist() for part in (train, validation, test)]
    assert sorted(numbers[0] + numbers[1]) == list(range(20))
    assert numbers[2] == list(range(50, 56))


@pytest.mark.parametrize("name", COLOUR)
def test_each_channel_is_standardized_with_its_own_numbers(colourful, name):
    source = SOURCES[name]
    inputs = load_test(Images(name=name), colourful).inputs
    first = drawn(6, SIZES[name], 50)[0, :, 3, 5] / 255
    assert np.allclose(inputs[0, :, 3, 5], (first - np.array(source.mean)) / np.array(source.std), atol=1e-5)
    assert len(set(source.mean)) == len(set(source.std)) == 3


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_padding_is_black_and_centred_and_grey_is_repeated(made_up, size, channels):
    plain = load_test(Images(name="mnist"), made_up).inputs
    found = load_test(Images(name="mnist", size=size, channels=channels), made_up).inputs
    assert found.shape == (6, channels or 1, size, size)
    for channel in found.unbind(1):
        assert torch.equal(channel[:, 2:30, 2:30], plain[:, 0])
        border = torch.ones(size, size, dtype=torch.bool)
        border[2:30, 2:30] = False
        assert torch.allclose(channel[:, border], torch.tensor(-0.1307 / 0.3081))


def test_larger_images_are_scaled_down_as_pillow_does(colourful):
    inputs = load_test(Images(name="stl10", size=32), colourful).inputs
    assert inputs.shape == (6, 3, 32, 32)
    written = Image.fromarray(drawn(6, 96, 50)[2].transpose(1, 2, 0)).resize((32, 32), Image.Resampling.BILINEAR)
    found = pixels_of("stl10", inputs)[2].astype(int)
    assert np.abs(found - np.asarray(written).transpose(2, 0, 1)).max() <= 1


def test_stl10_told_in_cifar10_s_classes_has_no_monkeys(colourful):
    own = load_test(Images(name="stl10"), colourful)
    told = load_test(Images(name="stl10", classes="cifar10"), colourful)
    stl10 = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    cifar10 = ["airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    names = [stl10[i] for i in own.targets]
    assert [cifar10[i] for i in told.targets] == [name for name in names if name != "monkey"]
    assert torch.equal(told.inputs, own.inputs[[name != "monkey" for name in names]])
    with pytest.raises(ValidationError, match="for stl10 alone"):
        Images(name="svhn", classes="cifar10")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "cifar10", "channels": 1}, "zoo.dataset.channels: 1, but cifar10's images have 3"),
    ],
)
def test_images_are_not_bleached(colourful, wrong, says):
    with pytest.raises(UsageError) as caught:
        load_fitting(Images(**wrong), colourful)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_missing_images_are_one_line_that_names_folder_and_files(tmp_path, monkeypatch, name):
    monkeypatch.setenv("DWF_OFFLINE", "1")
    for load in (load_fitting, load_test):
        with pytest.raises(DataMissing) as caught:
            load(Images(name=name), tmp_path)
        text = str(caught.value)
        assert f"{SOURCES[name].name} can't be read from {tmp_path / SOURCES[name].folder} " in text
        assert SOURCES[name].files in text
        assert "--data-root" in text
        assert "\n" not in text


@pytest.mark.parametrize("name", COLOUR)
def test_files_that_are_not_the_authors_are_refused(colourful, monkeypatch, name):
    """Their checksums are torchvision's business; before it unpickles anything."""
    monkeypatch.undo()
    monkeypatch.setenv("DWF_OFFLINE", "1")
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(DataMissing, match="not found or corrupted"):
        load_fitting(Images(name=name), colourful)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_stated_mean_and_deviation_are_those_of_the_training_images(name):
    root = Path(os.environ.get("DWF_DATA_ROOT", "nowhere"))
    if not (root / SOURCES[name].folder).is_dir():
        pytest.skip(f"{name} isn't at hand in DWF_DATA_ROOT")
    found = torch.cat([part.inputs.flatten() for part in load_fitting(Images(name=name), root)])
    assert abs(float(found.mean())) < 1e-3
    assert abs(float(found.std()) - 1) < 1e-3


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """An MNIST of 20 training and 6 test images: image i is all of value 10 i, its label i mod 10."""
    monkeypatch.setenv("DWF_OFFLINE", "1")
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for prefix, count in [("train", 20), ("t10k", 6)]:
        numbers = np.arange(count)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", np.broadcast_to(10 * numbers[:, None, None], (count, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", numbers % 10)
    return tmp_path


def test_mnist_is_read_from_its_files_and_scaled(made_up):
    train, validation = load_fitting(Images(name="mnist", validation=0.25), made_up)
    assert (len(train.targets), len(validation.targets)) == (15, 5)
    assert train.inputs.shape == (15, 1, 28, 28)
    for part in (train, validation):
        values = part.inputs[:, 0, 0, 0] * 0.3081 + 0.1307
        assert torch.equal((values * 255 / 10).round() % 10, part.targets.float())
    both = torch.cat([train.inputs, validation.inputs])[:, 0, 0, 0]
    assert len(both.unique()) == 20
    test = load_test(Images(name="mnist"), made_up)
    assert test.targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.allclose(test.inputs[:, 0, 3, 4], (torch.arange(6) * 10 / 255 - 0.1307) / 0.3081, atol=1e-6)


def test_compressed_files_alone_are_not_taken_for_data(made_up):
    file = made_up / "MNIST" / "raw" / "train-images-idx3-ubyte"
    with gzip.open(f"{file}.gz", "wb") as packed:
        packed.write(file.read_bytes())
    file.unlink()
    with pytest.raises(DataMissing):
        load_fitting(Images(name="mnist"), made_up)


def test_fashion_mnist_has_a_folder_of_its_own(made_up):
    with pytest.raises(DataMissing, match="FashionMNIST/raw"):
        load_fitting(Images(name="fashion_mnist"), made_up)


def test_offline_nothing_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("DWF_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(DataMissing):
        load_fitting(Images(name="mnist"), tmp_path)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_root_that_is_no_folder_is_missing_data(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("DWF_OFFLINE", offline)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataMissing, match="file/MNIST/raw"):
        load_fitting(Images(name="mnist"), tmp_path / "file")


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_damaged_file_is_missing_data(made_up, keep):
    file = made_up / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataMissing, match="MNIST/raw"):
        load_fitting(Images(name="mnist"), made_up)
