"""The flow at a Prefect server that is found or started: `dwf run` and `dwf up`.

Importing this module must stay cheap: Prefect takes seconds to import, so a server boots while that happens.
"""

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.config import Experiment, keyed_overrides
from pipeline.listener import Listener
from pipeline.prefect.discovery import (
    UP_RECORD,
    UpRecord,
    configured_api,
    healthy,
    home_of,
    reporting_to,
    require_writable,
    which_api,
)
from pipeline.prefect.report_server import reports_served
from pipeline.prefect.server import embedded_server, start_server

READY = """'full' is served: start runs at {page} or with
  PREFECT_API_URL={url} prefect deployment run dwf/full --watch
Reports open from there, at {reports}"""


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
            serve(home, lambda: ready(READY.format(page=url.removesuffix("/api"), url=url, reports=reports)))
        finally:
            (home / UP_RECORD).unlink(missing_ok=True)


@contextmanager
def _server_for(home: Path, port: int) -> Iterator[str]:
    """The configured API, a server found at the port, or one started there for the length of the block."""
    here = f"http://127.0.0.1:{port}/api"
    chosen = (configured_api() or here).rstrip("/")
    if chosen.replace("localhost", "127.0.0.1") != here and which_api(home):
        yield chosen
    elif healthy(here):
        yield here
    else:
        server = start_server(home, port, ui=True)
        try:
            server.wait()
            yield here
        finally:
            server.stop()
