"""Options that every command has (--json, --quiet, --debug), and the terminal that they make."""

import inspect
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from pipeline.dag import STAGES
from stages.errors import Interrupted

if TYPE_CHECKING:  # loaded by those commands that draw
    from rich.console import Console

    from pipeline.stage_lines import StageLines

P = ParamSpec("P")

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output; progress on the other.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no advice: only paths or keys.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
FLAGS = {"json": Json, "quiet": Quiet, "debug": Debug}


class Terminal:
    """Where a command's words and results go."""

    def __init__(self, json: bool = False, quiet: bool = False) -> None:
        self.json, self.quiet = json, quiet

    @cached_property
    def console(self) -> "Console":
        """For people: standard output, or standard error where the output is a JSON document."""
        from rich.console import Console

        stream = sys.stderr if self.json else sys.stdout
        width = None
        if not stream.isatty() and "COLUMNS" not in os.environ:
            width = max(120, shutil.get_terminal_size().columns)
        return Console(width=width, highlight=False, stderr=self.json)

    def say(self, *things: Any, style: str | None = None) -> None:
        """Print for people alone: text, which is never wrapped or taken for markup, and tables."""
        if not (self.json or self.quiet):
            for thing in things or ("",):
                text = isinstance(thing, str)
                self.console.print(thing, style=style, markup=False, soft_wrap=text)

    def give(self, document: Any, brief: Sequence[object] = ()) -> None:
        """The result for programs: the document with --json, lines with --quiet, otherwise nothing.

        A document is made of dataclasses, pydantic models, paths and what JSON has; NaN becomes null.
        """
        if self.json:
            from pydantic_core import to_json

            sys.stdout.write(to_json(document, indent=2, inf_nan_mode="null").decode() + "\n")
        elif self.quiet:
            sys.stdout.writelines(f"{line}\n" for line in brief)

    def lines(self, sizes: Mapping[str, tuple[int, str]] | None = None, stages: Sequence[str] = STAGES) -> "StageLines":
        """A line per stage, to be used as a context."""
        from pipeline.stage_lines import StageLines

        return StageLines(self.console, sizes, self.quiet, stages)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Say what is going on where a line can be taken back."""
        if self.quiet or not self.console.is_terminal or self.console.is_dumb_terminal:
            yield
        else:
            with self.console.status(what):
                yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends in one line that says what to do next."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("stopped; finished work is kept, run the same command to go on") from error


def command(function: Callable[Concatenate[Terminal, P], None]) -> Callable[..., None]:
    """A function of a terminal and its own options as a command, with FLAGS as further options.

    Flags may also stand before the command's name, where `common` leaves them.
    """

    @wraps(function)
    def wrapped(context: typer.Context, *args: P.args, **kwargs: P.kwargs) -> None:
        given = {name: bool(kwargs.pop(name)) for name in FLAGS}
        if given.pop("debug"):
            show_tracebacks()
        before = context.obj or {}
        function(Terminal(**{name: flag or before.get(name, False) for name, flag in given.items()}), *args, **kwargs)

    own = list(inspect.signature(function).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    flags = [inspect.Parameter(name, keyword, default=False, annotation=kind) for name, kind in FLAGS.items()]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [first, *own, *flags]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


def show_tracebacks() -> None:
    """Let errors end in their tracebacks, here and in processes that are started."""
    os.environ["DWF_DEBUG"] = "1"
