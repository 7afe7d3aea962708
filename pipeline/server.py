"""Prefect servers: which one a run reports to, one of our own for the length of a run, and `dwf up`.

Importing this module must stay cheap: Prefect takes seconds to import, so a server boots while that happens.
"""

import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from stages.errors import DwfError
from stages.store.refs import Ref

if TYPE_CHECKING:
    from pipeline.config import Experiment

MARK = "pipeline.server"
"""What the command line of a server of ours contains, after `-m`."""
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # never a server that outlives us
}
"""Nothing is sent to anybody, nothing is started behind our back."""
LOCAL = ("127.0.0.1", "localhost")
READY = (
    "'full' is served: start runs at {page} or with\n  PREFECT_API_URL={url} prefect deployment run dwf/full --watch"
)


class Listener(Protocol):
    """Who hears of a run's progress and of every stage that ends."""

    def watch(self, stage: str, share: float, note: str) -> None:
        """A sign of progress: the share done in [0, 1] and a few words."""

    def done(self, stage: str, ref: Ref, reused: bool) -> None:
        """A stage's artifact is there."""


def home_of(store: Path) -> Path:
    """Where a store keeps Prefect's database and the records of its runs and servers."""
    return store / ".prefect"


def configured_api() -> str | None:
    """The API that the user chose by environment or by Prefect's active profile."""
    if (url := os.environ.get("PREFECT_API_URL")) is not None:
        return url or None  # set to nothing, it overrules the profile
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    file = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        found = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or found.get("active", "")
    return found.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")


def which_api(home: Path) -> str | None:
    """The API a run reports to: the configured one, that of `dwf up` on the same store, or None for one of its own.

    Raises DwfError when the configured one doesn't answer.
    """
    if url := configured_api():
        if not answers(url):
            raise DwfError(
                f"{url}: no Prefect server answers here (PREFECT_API_URL); start it with `dwf up`, "
                "unset PREFECT_API_URL, or run with --direct"
            )
        return url
    try:
        url = json.loads((home / "server.json").read_text())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if healthy(url) else None


def healthy(url: str) -> bool:
    """Whether a Prefect server is ready at this API."""
    return _health(url) == (200, b"true")


def answers(url: str) -> bool:
    """Whether anything speaks HTTP there; a server that asks for a key does too."""
    return 0 < _health(url)[0] < 500


def _health(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=3) as response:  # noqa: S310 - the user's own server
            return response.status, response.read(64).strip()
    except HTTPError as error:
        return error.code, b""
    except (OSError, http.client.HTTPException, ValueError):
        return 0, b""


def require_writable(home: Path) -> None:
    """Make `home`; raises DwfError if nothing can be written there, over which Prefect's server would restart for ever."""
    probe = home / f".writable-{os.getpid()}-{threading.get_ident()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DwfError(
            f"{home}: can't write here ({error.strerror}), where Prefect keeps its records; "
            "choose another root with --store, or run with --direct"
        ) from error


@dataclass
class Server:
    """A Prefect server in a process of its own, which ends when this process does, however that ends."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Return once it is ready; raises DwfError if it ends before, or takes longer than DWF_SERVER_TIMEOUT seconds."""
        limit = float(os.environ.get("DWF_SERVER_TIMEOUT", "120"))
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
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def stop(self) -> None:
        """End it, gently first; the log of one that ended by itself stays."""
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
                stdout=output, stderr=output, cwd=home, env=_server_environment(home, port, ui),
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for us: the run's last states are still to be recorded
            )  # fmt: skip
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
    """One that shows pages heeds the user's Prefect settings; one for a single run must not."""
    inherited = {name: value for name, value in os.environ.items() if ui or not name.startswith("PREFECT")}
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),  # the pages ask here: uvicorn's port alone would leave them at 4200
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_ENABLED": str(ui).lower(),
        "PREFECT__SERVER_FINAL": "1",
    }
    return inherited | QUIET | own | ({} if ui else {"PREFECT__SERVER_EPHEMERAL": "1"})


def end_leftover_servers(home: Path) -> None:
    """End servers of ours that somehow outlived their owners, and forget those that ended with them (Linux)."""
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


@contextmanager
def reporting_to(url: str, home: Path, aloud: bool) -> Iterator[None]:
    """Point Prefect at a server for the length of the block; import it no earlier than in there.

    Its log goes to the server, and to the console if `aloud`. `home` replaces the user's own Prefect folder unless
    the server is the configured one, which may need the keys that lie there.
    """
    changes = QUIET | {"PREFECT_API_URL": url, "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"}
    if not aloud:
        silenced = ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_INTERNAL_LOGGING_LEVEL")
        changes |= dict.fromkeys(silenced, "CRITICAL")
    if not configured_api():
        changes |= {"PREFECT_HOME": str(home), "PREFECT_CLIENT_MAX_RETRIES": "3"}  # 14 s a request, not 62
    if (host := urlsplit(url).hostname) in LOCAL:  # where a proxy would find its own machine
        changes |= {name: ",".join(filter(None, [os.environ.get(name), host])) for name in ("no_proxy", "NO_PROXY")}
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_with_prefect(
    config: Path,
    overrides: Sequence[str],
    store: Path | None,
    data: Path | None,
    experiment: "Experiment",
    listener: Listener,
) -> None:
    """Run the flow `dwf` in this process, recorded by the server that `which_api` names or by one of its own.

    `experiment` is what the other arguments come to. Raises the DwfError that ended a stage, as it was.
    """
    home = home_of(experiment.store_root)
    require_writable(home)
    from pipeline.config import keyed_overrides  # not by a server

    parameters = {
        "config": str(config), "overrides": keyed_overrides(overrides),
        "store": str(store.absolute()) if store else None, "data_root": str(data.absolute()) if data else None,
    }  # fmt: skip
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
        from pipeline.orchestrate import run_here

        wait_for_server()
        run_here(url, parameters, listener)


def up(home: Path, port: int, ready: Callable[[str], None] = lambda text: None, limit: int = 1) -> None:
    """Serve the deployment `dwf/full` until Ctrl-C, at a server that is found or started; `ready` is told when and where.

    At most `limit` runs go on at once, the rest wait. Raises DwfError as `start_server` does.
    """
    require_writable(home)
    record = home / "server.json"
    with _server_for(home, port) as url, reporting_to(url, home, aloud=True):
        from pipeline.orchestrate import serve

        record.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        try:
            serve(home, limit, lambda: ready(READY.format(page=url.removesuffix("/api"), url=url)))
        finally:
            record.unlink(missing_ok=True)


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


def _serve_api(descriptor: int) -> None:
    """The life of a server process, which ends when its standard input does: with the process that started it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn = importlib.import_module("uvicorn")
    listener = socket.socket(fileno=descriptor)
    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _serve_api(int(sys.argv[1]))
