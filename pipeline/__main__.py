"""The entry point of `dwf` and `python -m pipeline`, where every error ends as one line and an exit code."""

import atexit
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:  # imported where `python -m` has put the current folder last
    from stages.errors import DwfError


def main() -> NoReturn:
    """Run the command line and end the process."""
    leave(run())


def run() -> int:
    """Run the command line. Exit code 2 for wrong usage, 1 for failure, 130 when interrupted."""
    from pipeline.configurations import importable

    # Read when torch is loaded. Threads that spin for long while they wait take three times as long, and far more, when
    # another process has one of the cores; a short spin keeps most of an idle machine's speed (1.2 s against 1.0 s on
    # small products, 2.0 s without any; 1.9 s against 5 s on a busy one).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    sys.stdout, sys.stderr = _writable(sys.stdout), _writable(sys.stderr)
    warnings.showwarning = _one_line_each()
    threading.excepthook = _leave_disks_to_the_command
    logging.raiseExceptions = False  # that a lost server takes no log is said once, by the command
    try:
        importable(Path.cwd())
        from pipeline.cli import app

        return app(standalone_mode=False) or 0
    except SystemExit as end:  # how shells are answered that complete a command
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:  # before a command began; the commands say what Ctrl-C leaves
        return 130
    except BrokenPipeError:  # whoever read us has what they wanted; `leave` drops what is still in the buffer
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, say it in one line
        return _explain(error)


def _explain(error: Exception) -> int:
    """Say in one line what is wrong, as a JSON document if that was asked for, and return the exit code."""
    if os.environ.get("DWF_DEBUG"):
        raise error
    known = _known(error)
    if "--json" in sys.argv[1:]:
        from json import dumps

        sys.stdout.write(dumps({"error": str(known), "exit_code": known.exit_code}) + "\n")
    else:
        sys.stderr.write(f"dwf: {known}\n")
    return known.exit_code


def _known(error: Exception) -> "DwfError":
    """The error as one that a user can act on."""
    from stages.errors import DwfError, UsageError

    if isinstance(error, DwfError):
        return error
    if say := getattr(error, "format_message", None):  # typer's own, on a command that can't be parsed
        context, words = getattr(error, "ctx", None), " ".join(say().split())
        return UsageError(f"{words[:1].lower()}{words[1:]} (`{context.command_path if context else 'dwf'} --help`)")
    if isinstance(error, OSError) and error.filename is not None:
        return DwfError(f"{os.fsdecode(error.filename)}: {error.strerror} (--debug shows where this happened)")
    return DwfError(f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)")


def _writable(stream: TextIO | None) -> TextIO:
    """A stream that takes every character, `?` for those that its encoding lacks, and anything if it is closed."""
    if stream is None:
        return open(os.devnull, "w")  # noqa: PTH123 - open until the process ends
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # type: ignore[attr-defined]
    return stream


def _one_line_each() -> Callable[..., None]:
    """Writes each different warning once, without the place in the sources."""
    shown: set[str] = set()

    def show(message: Warning | str, *details: object) -> None:
        del details
        if str(message) not in shown:
            shown.add(str(message))
            sys.stderr.write(f"dwf: {message}\n")

    return show


def _leave_disks_to_the_command(failure: threading.ExceptHookArgs) -> None:
    """Let a thread of a library, such as the writer of events, say nothing of a disk that the command will explain."""
    if os.environ.get("DWF_DEBUG") or not isinstance(failure.exc_value, OSError):
        threading.__excepthook__(failure)


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
