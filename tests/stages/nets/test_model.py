"""Models by name: what is found, and one line with the nearest name for what isn't."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from stages.errors import UsageError
from stages.nets.registry import build, example_input
from stages.params.network import Model


def described(model: str, **kwargs) -> Model:
    return Model(model=model, kwargs=kwargs, input=(3, 32, 32))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (described("timm:vit_tiny_patch16_22"), ("vit_tiny_patch16_22:", "timm", "vit_tiny_patch16_224")),
        (described("torchvision:resnet35"), ("resnet35:", "torchvision", "resnet34")),
        (described("torchvision:fasterrcnn_resnet50_fpn"), ("no such model in torchvision",)),
        (described("timm:vit_tiny_patch16_224", dept=2), ("kwargs.dept", "did you mean 'depth'")),
        (described("torchvision:resnet18", num_class=2), ("kwargs.num_class:", "did you mean 'num_classes'")),
        (described("torch.nn:Linear", in_feature=2), ("kwargs.in_feature:", "in_features")),
        (described("torch.nn:Linear", xyzzy=2), ("kwargs.xyzzy: no such argument; there are bias, device",)),
        (described("torch.nn:Linear"), ("missing", "in_features")),
        (described("nowhere_at_all.nets:make"), ("nowhere_at_all", "beside the configuration")),
        (described("torch.nn:Linea"), ("torch.nn has no 'Linea'", "Linear")),
        (described("torch.nn:functional"), ("is a module, expected a function",)),
        (described("pictures:browser"), ("makes a ", "torch.nn.Module")),
    ],
)
def test_what_does_not_exist_is_explained_in_one_line_with_the_nearest_name(network, words):
    with pytest.raises(UsageError) as caught:
        build(network)
    text = str(caught.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("name", ["pretrained", "weights", "weights_backbone", "checkpoint_path", "pretrained_cfg"])
def test_nobody_s_weights_are_fetched(name):
    with pytest.raises(ValidationError, match=f"kwargs.{name}"):
        described("timm:vit_tiny_patch16_224", **{name: True})


def test_a_factory_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_nets_b.py").write_text(
        "from torch import nn\n"
        "def make(units):\n    return nn.Sequential(nn.Linear(4, units), nn.ReLU(), nn.Linear(units, 2)).double()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    network = Model(model="my_nets_b:make", kwargs={"units": 6}, input=(4,))
    module = build(network)
    assert module(example_input(network)).dtype == torch.float32
    assert network.modules() == ("stages.nets.model", "my_nets_b")


def test_token_models_get_token_numbers():
    network = Model(
        model="torch.nn:Embedding", kwargs={"num_embeddings": 9, "embedding_dim": 2}, input=(8,), vocabulary=9
    )
    ids = example_input(network, 5)
    assert ids.dtype == torch.int64
    assert int(ids.max()) < 9
    assert bool((ids[0] > 0).all())
    assert bool((ids[1:, -2:] == 0).all())
    assert build(network)(ids).shape == (5, 8, 2)
