"""Content keys: a stage's name, parameters, upstream keys, and the sources that its result depends on."""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from stages.params.base import Params
from stages.store.files import FORMAT_VERSION

PACKAGES = Path(__file__).resolve().parent.parent


def key_of(stage: str, params: Params, upstream: Mapping[str, str]) -> str:
    """16 hex digits that change when anything that the stage's result depends on does."""
    parts = [FORMAT_VERSION, stage, params.fingerprint(), dict(upstream), sources(stage, params.modules())]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def sources(stage: str, chosen: tuple[str, ...] = ()) -> dict[str, str]:
    """Path -> hash of every file of `stages` that the stage's module imports, directly or through others.

    Also of the modules that parameters choose by name, and what those import from `stages` or their own package;
    nothing is imported to find out. Of an installed package only the chosen module counts.
    """
    found: dict[str, str] = {}
    own = {"stages"} | {_package(name) for name in chosen if not _installed(name)}
    todo = [f"stages.{stage}", *chosen]
    while todo:
        path = _file(module := todo.pop())
        if path is None or (name := _name(module, path)) in found:
            continue
        for part in path.parent.glob(f"{path.stem}.*"):  # the module, and a template of the same name
            found[str(Path(name).with_name(part.name))] = hashlib.sha256(part.read_bytes()).hexdigest()[:16]
        if _package(module) in own:
            imported = _imports(path.read_bytes(), module if path.stem == "__init__" else module.rpartition(".")[0])
            todo += (name for name in imported if _package(name) in own)
    return dict(sorted(found.items()))


def _imports(text: bytes, package: str) -> Iterator[str]:
    """Modules that a source in this package imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: 1 - node.level or None]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _package(module: str) -> str:
    return module.split(".")[0]


def _name(module: str, path: Path) -> str:
    """A module's file as told on every machine: relative to where its package lies."""
    depth = module.count(".") + (2 if path.stem == "__init__" else 1)
    return "/".join(path.parts[-depth:])


def _installed(module: str) -> bool:
    """Whether a package manager put it where it is, so that nobody edits it."""
    path = _file(module)
    return path is not None and bool({"site-packages", "dist-packages"} & set(path.parts))


def _file(module: str) -> Path | None:
    """A module's source, found without running any of it; None if there is none."""
    if _package(module) == "stages":
        base = PACKAGES.joinpath(*module.split("."))
        return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
    where, spec, parts = None, None, module.split(".")
    for depth in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:depth]), where)
        if spec is None or (depth < len(parts) and spec.submodule_search_locations is None):
            return None
        where = spec.submodule_search_locations
    path = Path(spec.origin) if spec and spec.origin else None
    return path if path is not None and path.suffix == ".py" else None


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What changed between two nested mappings, as `fit.steps 3000 -> 500`."""
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from differences(a, b, f"{prefix}{name}.")
        elif a != b:
            yield f"{prefix}{name} {json.dumps(a)} -> {json.dumps(b)}"
