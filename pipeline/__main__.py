"""The entry point of `dwf` and `python -m pipeline`, where every error ends as one line and an exit code."""

import atexit
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end the process."""
    leave(run())


def run() -> int:
    """Run the command line. Exit code 2 for wrong usage, 1 for failure, 130 when interrupted."""
    from pipeline.configurations import importable
    from stages.errors import DwfError

    # Read when torch is loaded. Threads that spin for long while they wait take three times as long, and far more, when
    # another process has one of the cores; a short spin keeps most of an idle machine's speed (1.2 s against 1.0 s on
    # small products, 2.0 s without any; 1.9 s against 5 s on a busy one).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

    try:
        importable(Path.cwd())
        from pipeline.cli import app

        warnings.showwarning = _one_line_each()
        app()
    except SystemExit as end:  # how the command line returns
        return end.code if isinstance(end.code, int) else 0
    except DwfError as error:
        _say(str(error), error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, say it in one line
        _say(f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)", error)
    return 1


def _one_line_each() -> Callable[..., None]:
    """Writes each different warning once, without the place in the sources."""
    shown: set[str] = set()

    def show(message: Warning | str, *details: object) -> None:
        del details
        if str(message) not in shown:
            shown.add(str(message))
            sys.stderr.write(f"dwf: {message}\n")

    return show


def _say(text: str, error: BaseException) -> None:
    if os.environ.get("DWF_DEBUG"):
        raise error
    sys.stderr.write(f"dwf: {text}\n")


def leave(code: int) -> NoReturn:
    """End now: to take torch's modules apart first costs over a second, and frees what the system frees anyway."""
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way to have them run before os._exit
    try:
        sys.stdout.flush()
    except OSError:  # whoever read us has gone, or the disk is full
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    if not sys.flags.safe_path:  # `python -m` puts the current folder first: a `stages` of the user's would hide ours
        sys.path.append(sys.path.pop(0))
    main()
