"""`dwf open`: the page of a run or a sweep, in the browser."""

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import Store, complete_artifact, store_root
from pipeline.commands.terminal import Terminal, command
from stages.errors import DwfError

PAGE = "report.html"


@command
def open_report(
    terminal: Terminal,
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="[ARTIFACT]",
            help="An experiment, a key's first digits, a path; the latest report by default.",
            autocompletion=complete_artifact,
        ),
    ] = "latest",
    printed: Annotated[bool, typer.Option("--print", help="Print its path; open nothing.")] = False,
    store: Store = None,
) -> None:
    """Open the report of a run, or of the run that an artifact is part of, in the browser."""
    page = _page(artifact, store_root(store))
    opened = not (printed or terminal.json or terminal.quiet) and _has_display() and webbrowser.open(page.as_uri())
    terminal.say(f"{page} is open in the browser" if opened else str(page))
    terminal.give({"report": page}, [page])


def _page(name: str, root: Path) -> Path:
    from pipeline.artifact_names import resolve
    from pipeline.comparison import report_of

    path = resolve(name, root, ("sweep", "report"))
    folder = path if (path / PAGE).is_file() else report_of(path.name, path.parent.parent)
    if folder is None:
        raise DwfError(f"{path}: there is no report of this; run `dwf run CONFIG`, which makes one")
    return folder / PAGE


def _has_display() -> bool:
    """Whether a browser would have somewhere to open."""
    anywhere = sys.platform in ("darwin", "win32")
    return anywhere or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
