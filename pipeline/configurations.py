"""Finding configurations, by path or by name, and the folder that their own paths are taken from."""

import sys
from collections.abc import Iterable
from pathlib import Path

from stages.errors import UsageError, did_you_mean

DEFAULT = "iris"
"""The configuration of `dwf run` and `dwf plan` where none is given."""
PACKAGE = Path(__file__).resolve().parent
BUILT_IN = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
"""Folder of the configurations that come with `dwf`: in the installed package, or beside it in a checkout."""
ENDINGS = (".yaml", ".yml")
STORE = Path("data")
"""Folder of all artifacts in the current folder, where nothing else is said."""


def names(among: str = "**/*.yaml") -> list[str]:
    """The names of built-in configurations whose files match a pattern, such as `iris_mlp` and `sweeps/mnist_pca`."""
    return sorted(map(name_of, BUILT_IN.glob(among)), key=lambda name: (name.count("/"), name))


def name_of(file: Path) -> str:
    """The name of a built-in configuration, the path of any other."""
    return _short(file.resolve().relative_to(BUILT_IN)) if is_built_in(file) else str(file)


def is_built_in(file: Path) -> bool:
    """Whether a file is one of those that come with `dwf`."""
    return file.resolve().is_relative_to(BUILT_IN)


def _short(path: Path) -> str:
    """A path as a name: `conf/public/model_j.yaml` is `public/model_j`."""
    parts = path.parts[1:] if path.parts[:1] == ("conf",) else path.parts
    return "/".join(parts).removesuffix(".yaml")


def built_in(name: Path | str, among: str = "**/*.yaml", own: Iterable[Path] = ()) -> Path:
    """The file of a built-in configuration.

    Raises UsageError if there is none of that name, with those whose files match `among` and the nearest, of `own` too.
    """
    short = _short(Path(name))
    if (file := BUILT_IN / f"{short}.yaml").is_file():
        return file
    meant = next((name for name in names() if name.endswith(f"/{short}")), short)
    near = did_you_mean(meant, {*names(), *map(_short, own)})
    raise UsageError(f"{name}: no such configuration; built in are {', '.join(names(among))}{near}")


def find(name: Path | str, among: str = "*.yaml", beside: Path | None = None) -> Path:
    """The file of a configuration that is given by path or name; a user's own comes before a built-in one.

    Paths are relative to `beside`, by default the current folder, and may lack their ending. Raises UsageError if there
    is none, with the built-in ones that match `among` and the nearest of all.
    """
    try:
        written = Path(name).expanduser()
        path = (beside or Path()) / written
        for ending in ("", *ENDINGS):
            if (file := Path(f"{path}{ending}")).is_file():
                return file
        there = (file for ending in ENDINGS for file in path.parent.glob(f"*{ending}"))
        return built_in(name, among, (written.parent / file.name for file in there))
    except (OSError, RuntimeError) as error:  # a name that no file can have, a folder that can't be read, ~nobody
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name}: {reason}; expected the path or the name of a configuration") from error


def folder_of(file: Path) -> Path:
    """The folder that relative paths in a configuration are taken from: its own.

    That of a built-in one is nobody's to write to, so its paths are taken from the current folder, where `dwf init`
    would copy it.
    """
    return Path.cwd() if is_built_in(file) else file.parent.resolve()


def importable(folder: Path) -> None:
    """Let the modules of a folder be imported, such as `my_model.py` for `my_model:make`.

    It comes last, so that a user's `stages` or `pipeline` doesn't hide those of `dwf`.
    """
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
