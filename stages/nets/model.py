"""Torch models by the name of their factory: of timm, of torchvision, or of any other package."""

import inspect
import re
from typing import Any

import torch
from torch import nn

from stages.errors import UsageError
from stages.factories import Factory, imported, suggested
from stages.params.network import Model

REFUSALS = (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, IndexError)
"""What factories raise at arguments that they can't use."""


def build(network: Model) -> nn.Module:
    """The module, with its own initialisation; no pretrained weights are ever loaded.

    Raises UsageError naming the model, the factory or the argument that doesn't exist, and the nearest that does.
    """
    factory, classes = _factory(network.model)
    try:
        module = factory(**network.kwargs)
    except REFUSALS as error:
        raise UsageError(f"network {network.model}: {_explain(error, factory, classes)}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"network {network.model}: makes a {type(module).__name__}, expected a torch.nn.Module")
    return module


def _factory(model: str) -> tuple[Factory, bool]:
    """The model's factory, and whether it passes arguments on to the model's class."""
    source, _, name = model.partition(":")
    if source == "timm":
        return _timm(name), True
    if source == "torchvision":
        return _torchvision(name), True
    return imported(model, "network"), False


def _timm(name: str) -> Factory:
    import timm

    _check_exists(name, timm.list_models(), "timm")  # no tags and no hub, which would load weights

    def make(**kwargs: Any) -> nn.Module:
        return timm.create_model(name, pretrained=False, **kwargs)

    return make


def _torchvision(name: str) -> Factory:
    import torchvision

    _check_exists(name, torchvision.models.list_models(module=torchvision.models), "torchvision")

    def make(**kwargs: Any) -> nn.Module:
        return torchvision.models.get_model(name, weights=None, **kwargs)

    return make


def _check_exists(name: str, names: list[str], library: str) -> None:
    if name not in names:
        raise UsageError(f"network {library}:{name}: no such model in {library}{suggested(name, names)}")


def _explain(error: Exception, factory: Factory, classes: bool) -> str:
    """The error in one line; for an unknown argument, the nearest ones that exist."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not (unknown := re.search(r"unexpected keyword argument '(\w+)'", text)):
        return f"{type(error).__name__}: {text}"
    name = unknown[1]
    return f"kwargs.{name}: no such argument{suggested(name, _arguments(factory, classes))}"


def _arguments(factory: Factory, classes: bool) -> list[str]:
    """Names of a factory's arguments; for a library's, of the arguments of its model's class."""
    if classes:
        with torch.device("meta"):
            factory = type(factory())
    return [name for name in inspect.signature(factory).parameters if name not in ("args", "kwargs", "self")]
