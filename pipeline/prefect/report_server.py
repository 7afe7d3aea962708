"""The reports of a store as web pages on this machine, so that a link on Prefect's pages opens one.

Prefect's pages come over http, from where a browser opens no file.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

from pipeline.prefect.discovery import LOCAL
from stages.errors import DwfError
from stages.store.artifact import FOLDERS

FILE = "report.html"
ADDRESS = re.compile(rf"/((?:{FOLDERS['report']}|{FOLDERS['sweep']})/[0-9a-f]+/{re.escape(FILE)})")
"""All that can be asked for: finished reports, of runs and of sweeps."""
IDLE_SECONDS = 10
"""How long a connection may say nothing."""


class _Server(ThreadingTCPServer):  # HTTPServer would look up its own name, which may take seconds
    """A server on the loopback interface that knows the store."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, store: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = store.resolve()
        self.hosts = tuple(f"{name}:{self.server_address[1]}" for name in LOCAL)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for reports; no folder is listed and no link is followed."""

    server_version, sys_version = "dwf", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """A report."""
        if page := self._page():
            self.wfile.write(page)

    def do_HEAD(self) -> None:
        """The head of the answer to GET."""
        self._page()

    def _page(self) -> bytes | None:
        """The report that is asked for, its headers sent; None if the answer is an error."""
        assert isinstance(self.server, _Server)
        if self.headers.get("Host") not in self.server.hosts:  # a page of another site, by a name that leads here
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        asked = ADDRESS.fullmatch(self.path)
        file = self.server.store / asked[1] if asked else None
        if file is None or not file.is_file() or file.resolve() != file:
            self.send_error(HTTPStatus.NOT_FOUND, "No such report")
            return None
        page = file.read_bytes()
        self.send_response(HTTPStatus.OK)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Content-Security-Policy", "frame-ancestors 'none'"),  # the page itself says the rest
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        return page

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
        """Log nothing: a page that was read is no event of a run."""


@contextmanager
def reports_served(store: Path, port: int) -> Iterator[str]:
    """Serve the reports below a store for the length of the block; gives the address that their folders' names follow.

    Takes `port`, so that links keep working over a restart, or a free one if that is taken. Raises DwfError if there is
    none.
    """
    with _listening(store, port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{server.hosts[0]}"
        finally:
            server.shutdown()
            thread.join()


def _listening(store: Path, port: int) -> _Server:
    for candidate in (port, 0):
        with suppress(OSError, OverflowError):  # taken, or beyond 65535
            return _Server(store, candidate)
    raise DwfError("127.0.0.1: no port is free for reports; end what holds them and start again")


def address_of(report: Path, server: str) -> str:
    """The address of a report, given by its folder, at a server of its store."""
    return f"{server}/{report.parent.name}/{report.name}/{FILE}"
