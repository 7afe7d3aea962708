"""Evaluation: metrics of generated networks, members, held-out members and trivial baselines, and the verdict."""

import pkgutil
import sys
from importlib import import_module
from types import ModuleType


def modules_in(package: str) -> list[ModuleType]:
    """The modules of a package, imported, in the order of their names.

    To be called as `modules_in(__name__)` in the package's `__init__`: keys then count all of them.
    """
    return [import_module(f"{package}.{module.name}") for module in pkgutil.iter_modules(sys.modules[package].__path__)]
