"""Experiments from Python: a configuration by path or name, as a mapping or as it is, with values laid over it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import Experiment, checked, flat_overrides, load, read
from pipeline.configurations import importable
from stages.errors import UsageError
from stages.trust import trusting

Config = Path | str | Mapping[str, Any] | Experiment
"""A YAML file or a built-in configuration's name, sections as YAML would have them, or an experiment."""


def experiment(
    config: Config,
    *,
    store: Path | str | None = None,
    data_root: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
    **sections: Any,
) -> Experiment:
    """The experiment of a configuration, with values laid over it; nothing is run.

    `sections` are values by section, `fit={"steps": 500}`, and fields outside of sections, `device="cpu"`: a mapping is
    laid over what the configuration has there. `overrides` are values by their whole key, `{"fit.steps": 500}`, and
    replace what is there. `trust` names installed modules of which everything may be called. Raises UsageError with one
    line for each thing that is wrong.
    """
    with trusting([*trust, *(config.trust if isinstance(config, Experiment) else ())]):
        return _laid_over(config, sections, flat_overrides(overrides or {}), store, data_root)


def _laid_over(
    config: Config,
    sections: Mapping[str, Any],
    overrides: Sequence[str],
    store: Path | str | None,
    data_root: Path | str | None,
) -> Experiment:
    roots = (Path(path) if path is not None else None for path in (store, data_root))
    if isinstance(config, Path | str):
        texts = [*overlaid(read(config)[1], sections), *overrides]
        return load(config, texts, *roots)
    dumped = config.model_dump(mode="json", exclude_unset=True) if isinstance(config, Experiment) else dict(config)
    texts = [*overlaid(dumped, sections), *overrides]
    importable(Path.cwd())
    return checked(dumped, "experiment", Path.cwd(), texts, *roots)


def overlaid(values: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Overrides that lay given values over others: mappings one by one where both have one, else whole.

    Raises UsageError for a value that a configuration can't hold.
    """
    for name, value in given.items():
        inside = values.get(name)
        if isinstance(value, Mapping) and isinstance(inside, Mapping):
            yield from overlaid(inside, value, f"{prefix}{name}.")
            continue
        try:
            yield f"{prefix}{name}={json.dumps(value, default=_plain)}"
        except TypeError as error:
            raise UsageError(f"{prefix}{name}: {error}; expected what YAML holds, or a section's parameters") from error


def _plain(value: Any) -> Any:
    """Paths as text, and parameters as values."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    raise TypeError(f"found {type(value).__name__}")
