"""The flow at a Prefect server that is found or started: `dwf run` and `dwf up`.

Importing this module must stay cheap: Prefect takes seconds to import, so a server boots while that happens.
"""

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from pipeline.config import Experiment, keyed_overrides
from pipeline.listener import Listener
from pipeline.prefect.discovery import (
    AUTH,
    UP_RECORD,
    UpRecord,
    configured_api,
    healthy,
    home_of,
    is_own,
    reporting_to,
    require_writable,
    which_api,
)
from pipeline.prefect.report_server import reports_served
from pipeline.prefect.server import embedded_server, start_server
from stages.errors import DwfError

READY = """'full' is served: start runs at {page} or with
  {environment} prefect deployment run dwf/full --watch
Reports open from there, at {reports}{secret}"""
GUARDED = """
The server answers whoever knows the store's secret: {page} asks for it once,
Prefect's own commands take it from PREFECT_API_AUTH_STRING, and those of dwf find it by themselves.
It lies in {file}, which only you can read."""


def run_with_prefect(
    config: Path,
    overrides: Sequence[str],
    store: Path | None,
    data: Path | None,
    experiment: Experiment,
    listener: Listener,
) -> None:
    """Run the flow `dwf` in this process, recorded by the server that `which_api` names or by one of its own.

    `experiment` is what the other arguments come to. Raises the DwfError that ended a stage, as it was.
    """
    home = home_of(experiment.store_root)
    require_writable(home)
    parameters = {
        "config": str(config),
        "overrides": keyed_overrides(overrides),
        "store": str(store.absolute()) if store else None,
        "data_root": str(data.absolute()) if data else None,
    }
    if url := which_api(home):
        _run(url, home, parameters, listener, lambda: None)
        return
    with embedded_server(home) as server:
        _run(server.url, home, parameters, listener, server.wait)


def _run(
    url: str, home: Path, parameters: dict[str, Any], listener: Listener, wait_for_server: Callable[[], None]
) -> None:
    with reporting_to(url, home, aloud=bool(os.environ.get("DWF_DEBUG"))):
        importlib.import_module("torch")  # while the server boots
        from pipeline.prefect.flow import run_here

        wait_for_server()
        run_here(url, parameters, listener)


def up(home: Path, port: int, ready: Callable[[str], None] = lambda text: None) -> None:
    """Serve the deployment `dwf/full` until Ctrl-C, at a server that is found or started; calls `ready` once it is.

    Runs go on one at a time, the rest wait. Reports below the same store are served at the next port. Raises DwfError
    as `start_server` does.
    """
    require_writable(home)
    with (
        _server_for(home, port) as url,
        reports_served(home.parent, port + 1) as reports,
        reporting_to(url, home, aloud=True),
    ):
        from pipeline.prefect.flow import serve

        UpRecord(url=url, pid=os.getpid(), reports=reports).write(home)
        try:
            serve(home, lambda: ready(_ready(url, home, reports)))
        finally:
            (home / UP_RECORD).unlink(missing_ok=True)


def _ready(url: str, home: Path, reports: str) -> str:
    """How runs are started, and how whoever starts them shows that they may."""
    page, file = url.removesuffix("/api"), home / AUTH
    environment, secret = f"PREFECT_API_URL={url}", ""
    if is_own(url, home):
        environment += f" PREFECT_API_AUTH_STRING=$(cat {quote(str(file))})"
        secret = GUARDED.format(page=page, file=file)
    return READY.format(page=page, environment=environment, reports=reports, secret=secret)


@contextmanager
def _server_for(home: Path, port: int) -> Iterator[str]:
    """The configured API, this store's server at the port, or one started there for the length of the block.

    Raises DwfError if another server is found there: whoever may ask that one for runs isn't known.
    """
    here = f"http://127.0.0.1:{port}/api"
    chosen = (configured_api() or here).rstrip("/")
    if chosen.replace("localhost", "127.0.0.1") != here and which_api(home):
        yield chosen
    elif healthy(here):
        if not (is_own(here, home) or configured_api()):
            raise DwfError(
                f"port {port}: a Prefect server that isn't this store's is there; choose another with --port, or set "
                f"PREFECT_API_URL={here} to serve at that one"
            )
        yield here
    else:
        server = start_server(home, port, ui=True)
        try:
            server.wait()
            yield here
        finally:
            server.stop()
