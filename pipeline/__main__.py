"""`python -m pipeline` and `dwf`: the one place where every error ends as one line and an exit code."""

import os
import sys


def main() -> None:
    """Run the command line. Exit code 2 for wrong usage, 1 for failure, 130 when interrupted."""
    from stages.errors import DwfError

    try:
        from pipeline.cli import app

        app()
    except DwfError as error:
        _say(str(error), error)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, say it in one line
        _say(f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)", error)
        sys.exit(1)


def _say(text: str, error: BaseException) -> None:
    if os.environ.get("DWF_DEBUG"):
        raise error
    sys.stderr.write(f"dwf: {text}\n")


if __name__ == "__main__":
    main()
