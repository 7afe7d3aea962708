"""Keys of artifacts: a hash of a stage's name, parameters, upstream keys, and the sources its result depends on."""

import ast
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from pipeline.meaning import is_unkeyed, meaning, statements
from stages.errors import UsageError
from stages.params.base import Params
from stages.store.files import FORMAT_VERSION
from stages.trust import INSTALLED

KEY_FORMAT = 2
"""The rules by which keys are made, part of keys and manifests: 1 hashed the bytes of sources, 2 their meaning."""
RENDERED = ("report", "reporting.sweep_page", "reporting.generators_page")
"""Pages, made anew in seconds: keyed by the bytes of all their sources and templates, since a caption is a result."""
PACKAGES = Path(__file__).resolve().parent.parent


def key_of(stage: str, params: Params, upstream: Mapping[str, str]) -> str:
    """16 hex digits that change when anything that the stage's result depends on does."""
    code = sources(stage, params.modules())
    parts = [KEY_FORMAT, FORMAT_VERSION, stage, params.fingerprint(), dict(upstream), code]
    return _hash(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


@cache
def sources(stage: str, chosen: tuple[str, ...] = ()) -> dict[str, str]:
    """Path -> hash of the meaning of each file of `stages` that the stage's module imports, directly or through others.

    Also of the modules that parameters choose by name, and what those import from `stages` or from the folder in which
    their own package lies; nothing is imported to find out. Of an installed package only the chosen module counts.
    Files that mean nothing, and modules that can't change a number, are left out; of RENDERED stages everything counts,
    byte by byte.
    """
    hashes: dict[str, str] = {}
    folders = own_folders(chosen)
    todo, seen = [f"stages.{stage}", *chosen], set[str]()
    while todo:
        if (module := todo.pop()) in seen:
            continue
        seen.add(module)
        path = _file(module)
        if path is None or (name := _name(module, path)) in hashes or (is_unkeyed(module) and stage not in RENDERED):
            continue
        text = path.read_bytes()
        hashes[name] = _hash(text) if stage in RENDERED else _meaning_hash(text, path)
        if stage in RENDERED:
            hashes |= {str(Path(name).with_name(t.name)): _hash(t.read_bytes()) for t in path.parent.glob("*.jinja")}
        if _is_own(module, folders):
            todo += (name for name in _imports(text, module, path) if _is_own(name, folders))
    return {name: digest for name, digest in sorted(hashes.items()) if digest}


def own_folders(modules: Iterable[str]) -> set[Path]:
    """The folders in which the packages of a user's own modules lie, among modules that parameters choose by name."""
    folders = (_folder(name) for name in modules if _package(name) != "stages" and not _installed(name))
    return {folder for folder in folders if folder}


@cache
def _meaning_hash(text: bytes, path: Path) -> str:
    """The hash of a source's meaning, empty if it has none."""
    try:
        meant = meaning(_tree(text))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path}: not readable as Python ({error}); mend it, then run the same command") from error
    return _hash(meant.encode()) if meant else ""


@cache
def _tree(text: bytes) -> ast.Module:
    """The syntax tree of a source, which its meaning and its imports are read from."""
    return ast.parse(text)


def _imports(text: bytes, module: str, path: Path) -> Iterator[str]:
    """Modules that a source imports, wherever in it; a call of `modules_in` imports the whole package."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for name in _imported_names(text, package):
        if name.endswith(".*"):
            files = [*path.parent.glob("*.py"), *(file.parent for file in path.parent.glob("*/__init__.py"))]
            yield from (f"{package}.{file.stem}" for file in files if file != path)
        else:
            yield name


@cache
def _imported_names(text: bytes, package: str) -> tuple[str, ...]:
    """Names of modules that a source in this package imports, `<package>.*` for all of its own."""
    names: list[str] = []
    tree = _tree(text)
    if b"modules_in(" in text and any(_calls_modules_in(node) for node in ast.walk(tree)):
        names.append(f"{package}.*")
    for node in statements(tree):
        match node:
            case ast.Import():
                names += (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = ".".join(package.split(".")[: 1 - node.level or None]) if node.level else ""
                source = ".".join(part for part in (base, node.module) if part)
                names += (source, *(f"{source}.{alias.name}" for alias in node.names))
    return tuple(dict.fromkeys(names))


def _calls_modules_in(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "modules_in"


def _package(module: str) -> str:
    return module.split(".")[0]


def _is_own(module: str, folders: Collection[Path]) -> bool:
    """Whether a module is one of `stages`, or of a package that lies in one of the user's folders."""
    return _package(module) == "stages" or (bool(folders) and _folder(module) in folders)


def _folder(module: str) -> Path | None:
    """Where a module's package lies; None if there is none."""
    spec = PathFinder.find_spec(_package(module))
    places = [*(spec.submodule_search_locations or [spec.origin])] if spec else []
    return Path(places[0]).parent if places and places[0] else None


def _name(module: str, path: Path) -> str:
    """A module's file relative to where its package lies, which is the same on every machine."""
    depth = module.count(".") + (2 if path.stem == "__init__" else 1)
    return "/".join(path.parts[-depth:])


def _installed(module: str) -> bool:
    """Whether a package manager put it where it is, so that nobody edits it."""
    path = _file(module)
    return path is not None and bool(INSTALLED & set(path.parts))


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
