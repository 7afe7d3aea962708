"""`dwf audit`: another generator's networks judged beside a zoo, by one line in the place of a configuration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Experiment, checked, read
from pipeline.configurations import ENDINGS, find, folder_of, importable, names
from stages.checkpoint_paths import matching
from stages.errors import UsageError

CHECKPOINTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".npz")
"""Suffixes by which checkpoints are found where a folder is named."""
HELD_OUT_SHARE = 5
"""One of so many members is held out unless a number is given."""


@dataclass(frozen=True)
class Audit:
    """What the command line says: members (files, a folder, or a configuration that describes them), the generated
    networks, and the model and data of members that no configuration describes.
    """

    members: str
    generated: str
    model: str | None = None
    shape: str | None = None
    kwargs: str = "{}"
    data: str | None = None
    heldout: int | None = None
    name: str = "audit"

    @property
    def described(self) -> bool:
        """Whether a configuration, by its file or its name, says what the members are."""
        named = self.members in names() and not Path(self.members).exists()
        return named or self.members.endswith(ENDINGS)

    def values(self) -> dict[str, Any]:
        """The configuration that this stands for. Raises UsageError saying which option is missing or unreadable."""
        sections = self._described() if self.described else {"zoo": self._zoo()}
        return {"name": self.name, **sections, "sample": {"source": "checkpoints", "files": pattern(self.generated)}}

    def experiment(
        self, overrides: Sequence[str] = (), store: Path | None = None, data: Path | None = None
    ) -> Experiment:
        """The checked experiment. Raises UsageError as `load` does."""
        folder = folder_of(find(self.members)) if self.described else Path.cwd()
        importable(folder)
        return checked(self.values(), "audit", folder, overrides, store, data)

    def _described(self) -> dict[str, Any]:
        """A configuration's sections, but for how its own networks are made."""
        _, sections = read(self.members)
        given = {"--model": self.model, "--input": self.shape, "--data": self.data, "--heldout": self.heldout}
        if beside := [option for option, value in given.items() if value is not None]:
            raise UsageError(f"audit {beside[0]}: {self.members} describes the members already; leave the option out")
        return {name: section for name, section in sections.items() if name not in ("name", "fit", "sample")}

    def _zoo(self) -> dict[str, Any]:
        """The section of members that lie in files."""
        if self.model is None or self.shape is None:
            lacking = "--model" if self.model is None else "--input"
            raise UsageError(
                f"audit: {lacking} is missing: members in files need both, e.g. --model timm:vit_tiny_patch16_224 "
                "--input 3,224,224; or let --members name a configuration"
            )
        files = pattern(self.members)
        return {
            "source": "checkpoints",
            "files": files,
            "model": self.model,
            "input": _numbers(self.shape),
            "kwargs": _mapping(self.kwargs),
            "heldout": self.heldout or _a_share_of(files),
            **({"dataset": self.data} if self.data else {}),
        }


def pattern(place: str) -> str:
    """An absolute pattern of files for a pattern, a file, or a folder of checkpoints of one kind.

    Raises UsageError if a folder has none, or several kinds.
    """
    path = Path(place).expanduser().absolute()
    if not path.is_dir():
        return str(path)
    kinds = sorted({file.suffix for file in path.rglob("*") if file.suffix in CHECKPOINTS})
    if len(kinds) != 1:
        found = f"both {' and '.join(kinds)}" if kinds else f"none of {', '.join(CHECKPOINTS)}"
        raise UsageError(f"{place}: expected checkpoints of one kind, found {found}; name them, e.g. '{place}/*.pt'")
    return str(path / "**" / f"*{kinds[0]}")


def _a_share_of(files: str) -> int:
    count = len(matching(files))
    if count < 2 * HELD_OUT_SHARE:
        raise UsageError(f"audit: --heldout is missing: of {count} files it isn't clear how many networks to hold out")
    return max(2, count // HELD_OUT_SHARE)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"audit --input {text!r}: expected numbers with commas, e.g. 3,32,32") from error


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UsageError(f"audit --kwargs {text!r}: not readable as JSON ({error})") from error
    if not isinstance(values, dict):
        raise UsageError(f"audit --kwargs {text!r}: expected an object, e.g. '{{\"num_classes\": 10}}'")
    return values
