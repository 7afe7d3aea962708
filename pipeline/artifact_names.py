"""Names of artifacts as people type them: a path, a stage, `latest`, an experiment, or the beginning of a key."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.errors import DwfError, UsageError, did_you_mean
from stages.store.artifact import FOLDERS, artifact_path, read_latest

LATEST = "latest"
LEAST_DIGITS = 4
"""Digits of a key that are enough if no other key begins with them."""
SHOWN = 6
"""Most keys that a message lists."""


def resolve(name: str, root: Path, stages: Sequence[str] = tuple(FOLDERS)) -> Path:
    """The folder that a name stands for; `stages` are those a command has a use for, the last one before all others.

    - a stage: its latest artifact
    - `latest`: the latest artifact of any of `stages`
    - `experiment:stage`: that experiment's latest artifact of the stage
    - a path that exists
    - the first digits of a key, at least four, that no other key below `root` begins with
    - an experiment: its latest artifact of the last of `stages` that it has any of

    Raises UsageError if it is none of these, or the beginning of several keys; DwfError if there is no such artifact.
    """
    experiment, colon, stage = name.rpartition(":")
    if name in FOLDERS:
        return _newest(root, [name]) or _absent(f"{name}: no artifact", root, name)
    if name == LATEST:
        return _newest(root, stages) or _absent(f"{name}: no artifact of {' or '.join(stages)}", root, stages[-1])
    if colon and stage in FOLDERS:
        return _newest(root, [stage], experiment) or _absent(f"{experiment}: no {stage} artifact", root, stage)
    if (path := Path(name)).exists():
        return path.absolute()
    if found := _by_key(root, name):
        return found
    for wanted in sorted(stages, key=list(FOLDERS).index, reverse=True):
        if found := _newest(root, [wanted], name):
            return found
    if colon and experiment in experiments(root):
        raise UsageError(f"{name}: {stage!r} is no stage{did_you_mean(stage, FOLDERS)}")
    known = [*FOLDERS, LATEST, *experiments(root)]
    raise UsageError(
        f"{name}: neither a path nor one of the stages {', '.join(FOLDERS)}, nor {LATEST}, nor an experiment or a "
        f"key's first {LEAST_DIGITS} digits or more below {root}{did_you_mean(name, known)}"
    )


def experiments(root: Path) -> list[str]:
    """The names of the experiments that have artifacts below a root."""
    return list(dict.fromkeys(name for stage in FOLDERS for _, name, _ in read_latest(root, stage)))


def keys(root: Path) -> Iterator[tuple[str, str]]:
    """Stage and key of every artifact below a root, finished or damaged; not of those that are half done."""
    for stage, folder in FOLDERS.items():
        if (root / folder).is_dir():
            names = sorted(path.name for path in (root / folder).iterdir() if path.is_dir())
            yield from ((stage, name) for name in names if re.fullmatch(r"[0-9a-f]+", name))


def _newest(root: Path, stages: Sequence[str], experiment: str | None = None) -> Path | None:
    """The artifact that was made or reused last, of an experiment if one is named."""
    entries = [
        (time, i, artifact_path(root, stage, key))
        for i, stage in enumerate(stages)
        for time, name, key in read_latest(root, stage)
        if experiment in (None, name)
    ]
    return max(entries)[-1] if entries else None


def _by_key(root: Path, digits: str) -> Path | None:
    if not re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},}}", digits):
        return None
    found = [(stage, key) for stage, key in keys(root) if key.startswith(digits)]
    if len(found) > 1:
        some = ", ".join(f"{stage} {key}" for stage, key in found[:SHOWN])
        raise UsageError(f"{digits}: the beginning of {len(found)} keys ({some}); give more digits")
    return artifact_path(root, *found[0]) if found else None


def _absent(what: str, root: Path, stage: str) -> Path:
    command = "sweep" if stage == "sweep" else f"stage {stage}"
    raise DwfError(f"{what} below {root}; run `dwf {command} CONFIG` first")
