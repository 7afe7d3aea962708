"""Torch models by the name of their factory: of timm, of torchvision, or of any other package."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from stages.errors import UsageError, did_you_mean
from stages.params.network import Model

REFUSALS = (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, IndexError)
"""What factories raise at arguments that they can't use."""
Factory = Callable[..., Any]


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
    return _imported(source, name), False


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


def _imported(module: str, name: str) -> Factory:
    """A factory in the user's own or any other package."""
    try:
        factory: Any = import_module(module)
    except ModuleNotFoundError as error:
        where = "put it beside the configuration or into the current folder, or install it"
        raise UsageError(f"network {module}:{name}: no module {error.name!r} can be imported; {where}") from error
    except ImportError as error:
        raise UsageError(f"network {module}:{name}: {module} can't be imported: {error}") from error
    for part in name.split("."):
        if not hasattr(factory, part):
            callables = [n for n, value in vars(factory).items() if callable(value) and not n.startswith("_")]
            raise UsageError(f"network {module}:{name}: {module} has no {part!r}{_suggested(part, callables)}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise UsageError(f"network {module}:{name}: is a {type(factory).__name__}, expected a function or a class")
    return factory


def _check_exists(name: str, names: list[str], library: str) -> None:
    if name not in names:
        raise UsageError(f"network {library}:{name}: no such model in {library}{_suggested(name, names)}")


def _explain(error: Exception, factory: Factory, classes: bool) -> str:
    """The error in one line; for an unknown argument, the nearest ones that exist."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not (unknown := re.search(r"unexpected keyword argument '(\w+)'", text)):
        return f"{type(error).__name__}: {text}"
    name = unknown[1]
    return f"kwargs.{name}: no such argument{_suggested(name, _arguments(factory, classes))}"


def _arguments(factory: Factory, classes: bool) -> list[str]:
    """Names of a factory's arguments; for a library's, of the arguments of its model's class."""
    if classes:
        with torch.device("meta"):
            factory = type(factory())
    return [name for name in inspect.signature(factory).parameters if name not in ("args", "kwargs", "self")]


def _suggested(name: str, names: list[str]) -> str:
    """The nearest names that exist or, if none is near, the first few."""
    some = f"; there are {', '.join(sorted(names)[:8])}" if names else ""
    return did_you_mean(name, names, 3) or some
