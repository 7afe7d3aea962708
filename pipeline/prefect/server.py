"""Prefect servers that `dwf` starts: each in a process that ends with the one that started it, even a killed one.

They are for whoever owns the store: a page of another site has no say in them, and without the store's secret nobody.
"""

import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.prefect.discovery import LOCAL, QUIET, auth_of, healthy, require_writable
from stages.errors import DwfError

MARK = "pipeline.prefect.server"
"""The module that a server's process runs, by which it is recognized."""
ERROR = re.compile(r"[\w.]+(Error|Exception): ")
"""The last line of a traceback."""
NEEDED_BYTES = 2**20
"""Free space below which a server fails for that."""


@dataclass
class Server:
    """A Prefect server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Return once it is ready.

        Raises DwfError if it ends before that, or isn't ready within DWF_SERVER_TIMEOUT seconds (default 300).
        """
        limit = float(os.environ.get("DWF_SERVER_TIMEOUT", "300"))
        deadline = time.monotonic() + limit
        while not healthy(self.url):
            if self.process.poll() is not None:
                raise DwfError(f"Prefect's server ended while it started: {self._last_words()} (more in {self.log})")
            if time.monotonic() > deadline:
                raise DwfError(
                    f"Prefect's server wasn't ready after {limit:g} s (set DWF_SERVER_TIMEOUT): {self._last_words()}; "
                    "run with --direct to do without"
                )
            time.sleep(0.1)

    def _last_words(self) -> str:
        if shutil.disk_usage(self.log.parent).free < NEEDED_BYTES:
            return f"no space is left on the disk of {self.log.parent}"
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        errors = [line for line in lines if ERROR.match(line)]  # what uvicorn says after one names no reason
        return (errors or lines)[-1].strip()

    def stop(self) -> None:
        """Terminate it, then kill it after five seconds; the log of a server that ended by itself is kept."""
        if self.process.poll() is None:
            _forget(self.log)
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


def start_server(home: Path, port: int = 0, ui: bool = False) -> Server:
    """Start a server that keeps its database in `home`, on a free port unless one is given; `wait` for it before use.

    Raises DwfError when `home` isn't writable or the port is taken.
    """
    require_writable(home)
    end_leftover_servers(home)
    (home / "servers").mkdir(exist_ok=True)
    with _bound(port) as listener:
        port = listener.getsockname()[1]
        log = home / "servers" / f"{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", MARK, str(listener.fileno())],
                stdin=subprocess.PIPE,  # its end tells the server that we are gone
                stdout=output,
                stderr=output,
                cwd=home,
                env=_server_environment(home, port, ui),
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for us: the run's last states are still to be recorded
            )
    log.with_suffix(".pid").write_text(f"{process.pid} {os.getpid()}")
    return Server(f"http://127.0.0.1:{port}/api", process, log)


@contextmanager
def embedded_server(home: Path) -> Iterator[Server]:
    """A server for the length of the block; it may still be starting: `wait` for it."""
    server = start_server(home)
    try:
        yield server
    finally:
        server.stop()


def _bound(port: int) -> socket.socket:
    """A socket at the port, handed to the server whole so that nobody can take the port in between."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise DwfError(
            f"port {port}: taken by something that isn't a Prefect server; choose another with --port"
        ) from error
    return listener


def _server_environment(home: Path, port: int, ui: bool) -> dict[str, str]:
    """The environment of a server: with the user's Prefect settings if it shows pages, without for a single run."""
    inherited = {name: value for name, value in os.environ.items() if ui or not name.startswith("PREFECT")}
    fixed = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),  # the pages ask here: uvicorn's port alone would leave them at 4200
        "PREFECT_SERVER_API_AUTH_STRING": auth_of(home),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}:{port}" for name in LOCAL),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_ENABLED": str(ui).lower(),
        "PREFECT__SERVER_FINAL": "1",
        "SQLITE_TMPDIR": str(home),  # the folder for temporary files may be full where the store has room
    }
    return inherited | QUIET | fixed | ({} if ui else {"PREFECT__SERVER_EPHEMERAL": "1"})


def end_leftover_servers(home: Path) -> None:
    """Terminate servers that outlived the process that started them, and forget those that didn't (Linux)."""
    if not Path("/proc/self/stat").exists():
        return
    for file in (home / "servers").glob("*.pid"):
        try:
            pid, owner = map(int, file.read_text().split())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            _forget(file)
            continue
        if MARK.encode() not in command:  # the number is another process's by now
            _forget(file)
        elif parent != owner:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _forget(file: Path) -> None:
    for suffix in (".pid", ".log"):
        file.with_suffix(suffix).unlink(missing_ok=True)


def _serve_api(descriptor: int) -> None:
    """The main function of a server's process, which ends with its standard input: with the process that started it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn
    from filelock import FileLock

    class OneAtATime(uvicorn.Server):
        """A server that starts alone: Prefect makes the tables of a new database without a lock of its own.

        A run could do without a server of its own, some 8 s of processor time and 13 lines sooner, but then no page
        would tell of it, and the servers of two `dwf up` would still meet at one database.
        """

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with FileLock("starting"):  # in `home`, and the system's: it dies with its process
                await super().startup(sockets)

    listener = socket.socket(fileno=descriptor)
    config = uvicorn.Config(
        _api,
        factory=True,
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=2,
    )
    OneAtATime(config).run(sockets=[listener])


def _api() -> Any:
    """Prefect's application, for requests to this machine by its own names: another's may be made to lead here."""
    create_app = importlib.import_module("prefect.server.api.server").create_app
    trusted_host = importlib.import_module("starlette.middleware.trustedhost").TrustedHostMiddleware
    return trusted_host(create_app(), allowed_hosts=LOCAL, www_redirect=False)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not `sys.stdin.read`, whose lock would break a server that ends by itself
    os._exit(0)


if __name__ == "__main__":
    _serve_api(int(sys.argv[1]))
