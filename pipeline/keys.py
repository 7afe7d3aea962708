"""Content keys: a stage's name, parameters, upstream keys, and the sources that its result depends on."""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stages.params.base import Params
from stages.store.files import FORMAT_VERSION

PACKAGES = Path(__file__).resolve().parent.parent


def key_of(stage: str, params: Params, upstream: Mapping[str, str]) -> str:
    """16 hex digits that change when anything that the stage's result depends on does."""
    parts = [FORMAT_VERSION, stage, params.model_dump(mode="json"), dict(upstream), sources(stage)]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def sources(stage: str) -> dict[str, str]:
    """Path -> hash of every file of `stages` that the stage's module imports, directly or through others."""
    found: dict[str, str] = {}
    todo = [f"stages.{stage}"]
    while todo:
        path = _file(todo.pop())
        if path is None or str(path.relative_to(PACKAGES)) in found:
            continue
        for part in path.parent.glob(f"{path.stem}.*"):  # the module, and a template of the same name
            found[str(part.relative_to(PACKAGES))] = hashlib.sha256(part.read_bytes()).hexdigest()[:16]
        todo += _imports(path.read_bytes())
    return dict(sorted(found.items()))


def _imports(text: bytes) -> Iterator[str]:
    """Modules of ours that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """The source of a module of `stages`, or None if it isn't one."""
    if module.split(".")[0] != "stages":
        return None
    base = PACKAGES.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What changed between two nested mappings, as `fit.steps 3000 -> 500`."""
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from differences(a, b, f"{prefix}{name}.")
        elif a != b:
            yield f"{prefix}{name} {json.dumps(a)} -> {json.dumps(b)}"
