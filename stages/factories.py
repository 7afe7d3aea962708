"""Functions of the user's own, or of any package, by module and name."""

from collections.abc import Callable
from importlib import import_module
from textwrap import shorten
from typing import Any

from stages.errors import UsageError, did_you_mean
from stages.trust import check_callable, check_module

Factory = Callable[..., Any]


def imported(target: str, where: str) -> Factory:
    """The function or class that `package.module:name` means.

    Raises UsageError that begins with `where` if there is no such module, or nothing of that name to call in it, or if
    it isn't trusted.
    """
    module, _, name = target.partition(":")
    check_module(module, f"{where} {target}")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        hint = "put it beside the configuration or into the current folder, or install it"
        raise UsageError(f"{where} {target}: no module {error.name!r} can be imported; {hint}") from error
    except Exception as error:  # whatever the user's module raises
        raise UsageError(f"{where} {target}: {module} can't be imported: {explained(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            callables = [n for n, value in vars(found).items() if callable(value) and not n.startswith("_")]
            raise UsageError(f"{where} {target}: {module} has no {part!r}{suggested(part, callables)}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{where} {target}: is a {type(found).__name__}, expected a function or a class")
    check_callable(found, f"{where} {target}")
    return found


def suggested(name: str, names: list[str]) -> str:
    """The nearest names that exist or, if none is near, the first few."""
    some = f"; there are {', '.join(sorted(names)[:8])}" if names else ""
    return did_you_mean(name, names, 3) or some


def explained(error: Exception) -> str:
    """An error's kind and message in one line."""
    return shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")
