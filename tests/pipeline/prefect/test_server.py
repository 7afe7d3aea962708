"""Servers: found, refused in one line, and never left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import fake_run
import pytest
from fake_run import CONFIG, Lines, Served, fake
from processes import wait_until

from pipeline.config import load
from pipeline.prefect import server
from pipeline.prefect.discovery import configured_api, healthy, home_of, reporting_to, require_writable, which_api
from pipeline.prefect.launch import _server_for, run_with_prefect, up
from pipeline.prefect.server import MARK, embedded_server, end_leftover_servers, start_server
from stages.errors import DwfError


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No API in the environment or the profile of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("PREFECT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_PROFILES_PATH", str(tmp_path / "profiles.toml"))


@pytest.fixture
def somebody(request: pytest.FixtureRequest) -> Iterator[str]:
    """An API at which something answers every question in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(request.param)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/api"
        listening.shutdown()


DEAD = "http://127.0.0.1:9/api"


def test_the_environment_overrules_the_active_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert configured_api() is None
    (tmp_path / "profiles.toml").write_text('active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://a/api"\n')
    assert configured_api() == "http://a/api"
    monkeypatch.setenv("PREFECT_API_URL", "http://b/api")
    assert configured_api() == "http://b/api"
    monkeypatch.setenv("PREFECT_API_URL", "")
    assert configured_api() is None


def test_a_dead_configured_server_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_URL", DEAD)
    began = time.monotonic()
    with pytest.raises(DwfError, match=r"^http://127.0.0.1:9/api: no Prefect server answers here[^\n]*--direct$"):
        run_with_prefect(CONFIG, [], tmp_path, None, load(CONFIG, [], tmp_path), Lines())
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("somebody", [b"true"], indirect=True)
def test_a_run_joins_the_server_of_dwf_up_while_it_lives(somebody: str, tmp_path: Path) -> None:
    assert which_api(tmp_path) is None
    (tmp_path / "server.json").write_text(json.dumps({"url": somebody, "pid": 1}))
    assert which_api(tmp_path) == somebody
    (tmp_path / "server.json").write_text(json.dumps({"url": DEAD, "pid": 1}))
    assert which_api(tmp_path) is None
    (tmp_path / "server.json").write_text("{")
    assert which_api(tmp_path) is None


@pytest.mark.parametrize("somebody", [b"<html>"], indirect=True)
def test_something_else_at_the_port_is_not_taken_for_prefect(somebody: str, tmp_path: Path) -> None:
    assert not healthy(somebody)
    port = int(somebody.split(":")[2].split("/")[0])
    with pytest.raises(DwfError, match=rf"^port {port}: taken by something that isn't a Prefect server[^\n]*--port$"):
        up(tmp_path, port)


@pytest.mark.parametrize("somebody", [b"true"], indirect=True)
def test_a_prefect_server_of_somebody_else_is_joined_only_if_it_is_configured(
    somebody: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = int(somebody.split(":")[2].split("/")[0])
    with pytest.raises(
        DwfError, match=rf"^port {port}: a Prefect server that isn't this store's[^\n]*=[^\n]*{port}/api"
    ):
        up(tmp_path, port)
    monkeypatch.setenv("PREFECT_API_URL", somebody)
    with _server_for(tmp_path, port) as url:
        assert url == somebody
    monkeypatch.delenv("PREFECT_API_URL")
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / f"{port}.pid").write_text("1 1")
    with _server_for(tmp_path, port) as url:
        assert url == somebody


def test_a_home_that_cannot_be_written_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = home_of(tmp_path / "file")
    for attempt in (require_writable, start_server, lambda home: up(home, 4200)):
        with pytest.raises(DwfError, match=r"can't write here \(Not a directory\)[^\n]*--direct$"):
            attempt(home)


def test_a_server_that_dies_while_it_starts_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("import sys; sys.exit('first\\nlast words')")
    monkeypatch.setattr(server, "MARK", "dies")
    with (
        pytest.raises(DwfError, match=r"^Prefect's server ended while it started: last words \(more in "),
        embedded_server(tmp_path) as starting,
    ):
        starting.wait()
    assert starting.log.read_text() == "first\nlast words\n"


def test_a_server_that_never_gets_ready_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import sys; sys.stdin.read()")
    monkeypatch.setattr(server, "MARK", "waits")
    monkeypatch.setenv("DWF_SERVER_TIMEOUT", "0.3")
    with (
        pytest.raises(DwfError, match=r"wasn't ready after 0\.3 s \(set DWF_SERVER_TIMEOUT\): it said nothing"),
        embedded_server(tmp_path) as starting,
    ):
        starting.wait()
    assert starting.process.returncode == -signal.SIGTERM
    assert list((tmp_path / "servers").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_only_servers_without_their_owner_are_ended(tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen([*command, MARK]) as mine,
        subprocess.Popen([*command, MARK]) as orphan,
        subprocess.Popen(command) as stranger,
    ):
        for name, process, owner in (("1", mine, os.getpid()), ("2", orphan, 1), ("3", stranger, 1)):
            (tmp_path / "servers" / f"{name}.pid").write_text(f"{process.pid} {owner}")
        (tmp_path / "servers" / "4.pid").write_text("torn")
        time.sleep(0.3)  # until they are what they were started as
        end_leftover_servers(tmp_path)
        assert orphan.wait(5) == -signal.SIGTERM
        end_leftover_servers(tmp_path)
        assert [file.name for file in (tmp_path / "servers").iterdir()] == ["1.pid"]
        assert mine.poll() is None
        assert stranger.poll() is None
        mine.kill()
        stranger.kill()


def test_the_environment_is_only_borrowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    before = dict(os.environ)
    with reporting_to("http://127.0.0.1:1/api", tmp_path, aloud=False):
        assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
        assert os.environ["PREFECT_HOME"] == str(tmp_path)
        assert os.environ["NO_PROXY"] == "example.org,127.0.0.1"
    assert dict(os.environ) == before
    monkeypatch.setenv("PREFECT_API_URL", "https://cloud/api")
    with reporting_to("https://cloud/api", tmp_path, aloud=True):
        assert "PREFECT_HOME" not in os.environ


def test_the_command_line_does_not_wait_for_prefect_or_torch() -> None:
    check = "import sys, pipeline.cli, pipeline.prefect.launch; assert not {'prefect', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_after_a_kill_no_server_is_left_and_the_next_run_closes_the_books(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed run has a server of its own on the session's database, the next one uses the session's server."""
    home = home_of(served.store)
    command = [sys.executable, fake_run.__file__, str(served.store)]
    with subprocess.Popen(command, env=os.environ | {"FAKE": "linger"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "in fit\n" in process.stdout
        pids = {int(own): int(owner) for own, owner in (f.read_text().split() for f in home.glob("servers/*.pid"))}
        killed = next(file.stem for file in home.glob("runs/*.lock"))
        time.sleep(1)  # until it is recorded that fit runs
        process.kill()
    own = next(own for own, owner in pids.items() if owner == process.pid)
    deadline = time.monotonic() + 10
    while _runs_ours(own):
        assert time.monotonic() < deadline, "the server outlived the run"
        time.sleep(0.1)

    fake(monkeypatch.setattr)
    (home / "server.json").write_text(json.dumps({"url": served.url, "pid": os.getpid()}))
    run_with_prefect(CONFIG, ["fit.steps=50"], served.store, None, load(CONFIG, [], served.store), lines := Lines())
    (home / "server.json").unlink()
    assert lines.said[-1] == "report done"
    assert list(home.glob("runs/*.lock")) == []
    runs = {run["id"]: run["state_name"] for run in served.ask("flow_runs")}
    assert runs.pop(killed) == "Crashed"
    assert "Completed" in runs.values()
    tasks = served.ask("task_runs", flow_runs={"id": {"any_": [killed]}})
    assert {task["state_name"] for task in tasks if task["name"] == "fit"} == {"Crashed"}


def _runs_ours(pid: int) -> bool:
    """Whether the process is there and is a server of ours."""
    try:
        return MARK.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False


SLOW_TO_START = """
import sys, time
from pipeline.prefect import server

async def app(scope, receive, send):
    await receive()
    with open("starts", "a", buffering=1) as file:
        file.write("begin ")
        file.flush()
        time.sleep(0.5)
        file.write("end ")
    await send({"type": "lifespan.startup.complete"})
    await receive()

server._api = lambda: app
server._serve_api(int(sys.argv[1]))
"""


def test_servers_of_one_store_start_one_after_the_other(tmp_path: Path) -> None:
    """Prefect makes the tables of a new database without a lock: of two that did so at once, one failed."""
    with ExitStack() as stack:
        for listener in (stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)):
            descriptor = listener.fileno()
            command = [sys.executable, "-c", SLOW_TO_START, str(descriptor)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=tmp_path, pass_fds=[descriptor])
            stack.enter_context(process)
            stack.callback(process.kill)
        wait_until(lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text().count("end") == 2)
    assert (tmp_path / "starts").read_text() == "begin end begin end "
