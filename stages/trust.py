"""Whose functions may be called by name: one's own, networks of model libraries, and what one says to trust."""

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from stages.errors import UsageError

LIBRARIES = ("timm", "torch.nn", "torchvision", "transformers", "stages", "pipeline")
"""Packages whose networks may be made: classes of modules, and functions that by their annotation return one."""
INSTALLED = {"site-packages", "dist-packages"}
"""Folders that package managers write to."""
trusted: ContextVar[tuple[str, ...]] = ContextVar("trusted", default=())
"""Further modules, of which everything may be called."""


@contextmanager
def trusting(modules: Iterable[str]) -> Iterator[None]:
    """Let everything in these modules, and in those below them, be called for the length of the block."""
    token = trusted.set((*trusted.get(), *modules))
    try:
        yield
    finally:
        trusted.reset(token)


def check_module(module: str, where: str) -> None:
    """Raise UsageError, which begins with `where`, unless a module may be imported; nothing is, to find out."""
    if not (_within(module, (*LIBRARIES, *trusted.get())) or _is_own(module, missing=True)):
        raise UsageError(_refusal(where, module, module))


def check_callable(found: Any, where: str) -> None:
    """Raise UsageError, which begins with `where`, unless it may be called.

    What counts is the module that defines it, not those that it can be reached through.
    """
    home = getattr(found, "__module__", None) or "builtins"
    if _within(home, trusted.get()):
        return
    if not (_makes_a_network(found) if _within(home, LIBRARIES) else _is_own(home)):
        raise UsageError(_refusal(where, f"{home}.{getattr(found, '__qualname__', type(found).__name__)}", home))


def _refusal(where: str, name: str, module: str) -> str:
    return (
        f"{where}: {name} isn't called: expected a function of your own, from the current or the configuration's "
        f"folder, or a network of {', '.join(LIBRARIES[:4])}; if you trust it, say --trust {module.partition('.')[0]}"
    )


def _within(module: str, packages: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _is_own(module: str, *, missing: bool = False) -> bool:
    """Whether a module is the user's: neither Python's nor installed, or made by the running program.

    Nothing of it is imported to find out. `missing` is the answer if there is no such module.
    """
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names:
        return False
    try:
        spec = find_spec(root)
    except ValueError:  # it has none: of a notebook, say
        return True
    if spec is None:
        return missing
    places = [*(spec.submodule_search_locations or ()), spec.origin]
    return not any(_is_installed(Path(place)) for place in places if place)


def _is_installed(path: Path) -> bool:
    python = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    return bool(INSTALLED & set(path.parts) or python & set(path.resolve().parents))


def _makes_a_network(found: Any) -> bool:
    """Whether it is a class of modules, or a function that is annotated to return one."""
    from torch import nn

    try:
        made = found if isinstance(found, type) else get_type_hints(found).get("return")
    except (AttributeError, NameError, TypeError):  # no function, or one whose annotations can't be read
        return False
    return isinstance(made, type) and issubclass(made, nn.Module)
