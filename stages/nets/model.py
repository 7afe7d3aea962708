"""Any torch model by the name of what makes it: timm's, torchvision's, or a factory in anybody's package."""

import difflib
import inspect
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from stages.errors import UsageError
from stages.params.network import Model

REFUSALS = (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, IndexError)
"""What factories raise at arguments that they can't use."""


def build(network: Model) -> nn.Module:
    """The module, with its own initialisation and nobody's weights.

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


Factory = Callable[..., Any]


def _factory(model: str) -> tuple[Factory, bool]:
    """What makes the model, and whether it passes arguments on to the model's class."""
    source, _, name = model.partition(":")
    if source == "timm":
        return _timm(name), True
    if source == "torchvision":
        return _torchvision(name), True
    return _own(source, name), False


def _timm(name: str) -> Factory:
    import timm

    _known(name, timm.list_models(), "timm")  # no tags, no hub: those would be somebody's weights

    def make(**kwargs: Any) -> nn.Module:
        return timm.create_model(name, pretrained=False, **kwargs)

    return make


def _torchvision(name: str) -> Factory:
    import torchvision

    _known(name, torchvision.models.list_models(module=torchvision.models), "torchvision")

    def make(**kwargs: Any) -> nn.Module:
        return torchvision.models.get_model(name, weights=None, **kwargs)

    return make


def _own(module: str, name: str) -> Factory:
    """A factory of the user's, or of any package."""
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        where = "set PYTHONPATH to the folder that holds it, or install it"
        raise UsageError(f"network {module}:{name}: no module {error.name!r} can be imported; {where}") from error
    except ImportError as error:
        raise UsageError(f"network {module}:{name}: {module} can't be imported: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            callables = [n for n, value in vars(found).items() if callable(value) and not n.startswith("_")]
            raise UsageError(f"network {module}:{name}: {module} has no {part!r}{_nearest(part, callables)}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"network {module}:{name}: is a {type(found).__name__}, expected a function or a class")
    return found


def _known(name: str, names: list[str], library: str) -> None:
    if name not in names:
        raise UsageError(f"network {library}:{name}: no such model in {library}{_nearest(name, names)}")


def _explain(error: Exception, factory: Factory, classes: bool) -> str:
    """One line; for an argument that doesn't exist, the nearest that does."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not (unknown := re.search(r"unexpected keyword argument '(\w+)'", text)):
        return f"{type(error).__name__}: {text}"
    name = unknown[1]
    return f"kwargs.{name}: no such argument{_nearest(name, _arguments(factory, classes))}"


def _arguments(factory: Factory, classes: bool) -> list[str]:
    """What a factory can be called with; for a library's, what the class of its model can."""
    if classes:
        with torch.device("meta"):
            factory = type(factory())
    return [name for name in inspect.signature(factory).parameters if name not in ("args", "kwargs", "self")]


def _nearest(word: str, words: Iterable[str]) -> str:
    words = sorted(words)
    close = difflib.get_close_matches(word, words, 3, 0.5)
    return f"; nearest: {', '.join(close)}" if close else f"; there are {', '.join(words[:8])}" if words else ""
