"""Arguments and options that several commands share, and what a shell completes them with."""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from pipeline.configurations import DEFAULT, STORE, names
from pipeline.dag import STAGES
from stages.errors import UsageError
from stages.trust import trusting

P = ParamSpec("P")

ARTIFACT_HELP = "A stage, `latest`, an experiment, experiment:stage, a key's first digits, or a path."


def complete_configuration(incomplete: str) -> Iterator[str]:
    """YAML files, folders that hold any, and built-in configurations, by the beginning of their path or name."""
    yield from (name for name in names() if name.startswith(incomplete))
    for path in sorted(Path().glob(f"{incomplete}*")) if not Path(incomplete).is_absolute() else []:
        if path.suffix in (".yaml", ".yml"):
            yield str(path)
        elif path.is_dir() and any(path.rglob("*.yaml")) and not path.name.startswith("."):
            yield f"{path}/"


def complete_stage(incomplete: str) -> Iterator[str]:
    """Names of stages."""
    return (stage for stage in STAGES if stage.startswith(incomplete))


def complete_artifact(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Stages, experiments, and keys once a digit is typed."""
    from pipeline.artifact_names import LATEST, experiments, keys
    from stages.store.artifact import FOLDERS

    root = store_root(context.params.get("store"))
    names = [*FOLDERS, LATEST, *experiments(root), *((key for _, key in keys(root)) if incomplete else ())]
    return (name for name in names if name.startswith(incomplete))


def complete_artifact_or_configuration(context: typer.Context, incomplete: str) -> Iterator[str]:
    """What `dwf diff` compares."""
    yield from complete_artifact(context, incomplete)
    yield from complete_configuration(incomplete)


File = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        help="Configuration: a path, or the name of a built-in one such as iris_mlp.",
        autocompletion=complete_configuration,
    ),
]
FIRST = Path(DEFAULT)
"""The configuration where none is given."""
Stage = Annotated[str, typer.Argument(metavar="STAGE", help=" | ".join(STAGES), autocompletion=complete_stage)]
Artifact = Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP, autocompletion=complete_artifact)]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override, e.g. fit.steps=500.")]
Store = Annotated[Path | None, typer.Option("--store", help="Root of all artifacts (store_root in the file).")]
Data = Annotated[Path | None, typer.Option("--data-root", help="Folder of the data sets (or DWF_DATA_ROOT).")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N (device in the file).")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads in all (threads in the file).")]
Force = Annotated[bool, typer.Option("--force", help="Run even what needs more disk or memory than is free.")]
Trust = Annotated[
    list[str] | None,
    typer.Option("--trust", metavar="MODULE", help="Let a configuration call everything in an installed module."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be reused and what would run.")]


def with_hardware(overrides: list[str] | None, device: str | None, threads: int | None) -> list[str]:
    """Overrides with those that --device and --threads stand for."""
    chosen = {"device": device, "threads": threads}
    return [*(overrides or []), *(f"{key}={value}" for key, value in chosen.items() if value is not None)]


def trusts(function: Callable[P, None]) -> Callable[..., None]:
    """A command with a further option, --trust, whose modules are trusted while it runs."""

    @wraps(function)
    def wrapped(*args: P.args, trust: list[str] | None = None, **kwargs: P.kwargs) -> None:  # type: ignore[valid-type]
        with trusting(trust or ()):
            function(*args, **kwargs)

    own = inspect.signature(function)
    option = inspect.Parameter("trust", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Trust)
    wrapped.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
    return wrapped


def store_root(store: Path | None) -> Path:
    """The root of all artifacts where no configuration names one. Raises UsageError if it is no folder."""
    root = (store or STORE).absolute()
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: expected the folder of all artifacts, found a file; choose another with --store")
    return root
