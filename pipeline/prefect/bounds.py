"""Bounds of a run that is started over HTTP: whoever types `dwf run` owns the machine, whoever sends a request may not.

It may choose among the configurations that are built in or lie below the served folder, and change single values.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.configurations import find, folder_of, is_built_in
from stages.errors import UsageError
from stages.params.network import FACTORY

KEY = re.compile(r"[\w.-]+")
"""The key of an override. An equals sign in it would begin a value, which may be anything."""
CATALOGUES = ("timm", "torchvision")
"""What may stand before the name of a model that comes with a library."""


def check_request(
    config: str, overrides: Mapping[str, Any], folders: Mapping[str, str | None], served_store: Path | None
) -> None:
    """Raise UsageError, in one line, for a request that goes beyond the current folder, which is the served one.

    `folders` are the parameters that name one; `served_store` may be outside.
    """
    here, file = Path.cwd().resolve(), find(config)
    allowed = [here, *([served_store.resolve()] if served_store else [])]
    if not (is_built_in(file) or _leads_into([here], here, file)):
        raise UsageError(f"{config}: outside of {here}, from which runs are served; copy the file there")
    for name, folder in folders.items():
        if folder and not _leads_into(allowed, here, folder):
            raise UsageError(
                f"{name} {folder!r}: outside of {here}, from which runs are served; name a folder in there"
            )
    for key, value in overrides.items():
        if problem := _problem(key, value, folder_of(file), allowed):
            raise UsageError(f"overrides: {key[:80]!r} {problem}; write it into a configuration of the served {here}")


def _problem(key: str, value: Any, folder: Path, allowed: list[Path]) -> str | None:
    """What is wrong with an override, whose paths are relative to a folder."""
    if not KEY.fullmatch(key):
        return "is no key"
    if not isinstance(value, str | int | float | None):
        return f"is a {type(value).__name__}, but a request may set single values alone"
    if not isinstance(value, str):
        return None
    if FACTORY.fullmatch(value) and value.partition(":")[0] not in CATALOGUES:
        return "names a function, which no request may choose"
    return None if _leads_into(allowed, folder, value) else "leads out of the served folder"


def _leads_into(folders: list[Path], base: Path, path: Path | str) -> bool:
    """Whether a path, relative to a base, leads into one of these folders, whatever links it goes through."""
    try:
        found = (base / Path(path).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError):  # no path at all, nobody's home, or links in a circle
        return False
    return any(found.is_relative_to(folder) for folder in folders)
