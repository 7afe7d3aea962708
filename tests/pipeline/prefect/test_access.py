"""Access to the servers that `dwf` starts: with the store's secret, by their own names, from their own pages alone."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_run
import httpx
import pytest
from fake_run import Served

from pipeline.prefect.discovery import auth_of, home_of, reporting_to
from pipeline.prefect.launch import GUARDED, _ready
from stages.trust import trusting

ORIGIN = "http://evil.example"
HOSTILE = {"zoo.network": {"kind": "model", "model": "os:system", "kwargs": {"command": "touch X"}, "input": [4]}}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """What talks to the server as its owner may; a header or `auth=None` changes that."""
    user, password = auth_of(home_of(served.store)).split(":")
    with httpx.Client(base_url=served.url, auth=(user, password), timeout=30) as client:
        yield client


def test_whoever_knows_the_secret_is_answered(client: httpx.Client) -> None:
    assert client.post("/flows/filter", json={}).status_code == 200


@pytest.mark.parametrize("auth", [None, ("dwf", "guessed"), ("", "")])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/flows/filter"),
        ("POST", "/flows/"),
        ("POST", "/deployments/00000000-0000-0000-0000-000000000000/create_flow_run"),
        ("PATCH", "/deployments/00000000-0000-0000-0000-000000000000"),
        ("GET", "/deployments/name/dwf/full"),
        ("GET", "/admin/settings"),
    ],
)
def test_without_it_nobody_is(client: httpx.Client, method: str, path: str, auth: tuple[str, str] | None) -> None:
    body = {"json": {"name": "x", "parameters": {"overrides": HOSTILE}}} if method != "GET" else {}
    assert client.request(method, path, auth=auth, **body).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", "0.0.0.0", ""])
@pytest.mark.parametrize("path", ["/health", "/flows/filter", "/../"])
def test_a_name_that_was_made_to_lead_here_is_refused(client: httpx.Client, host: str, path: str) -> None:
    answer = client.request("GET" if path != "/flows/filter" else "POST", path, headers={"Host": host})
    assert (answer.status_code, answer.text) == (400, "Invalid host header")


def test_its_own_names_are_taken(client: httpx.Client) -> None:
    for host in ("127.0.0.1", "localhost", client.base_url.netloc.decode()):
        assert client.get("/health", headers={"Host": host}).status_code == 200


def test_a_page_of_another_origin_may_not_even_ask(client: httpx.Client) -> None:
    own = f"http://{client.base_url.netloc.decode()}"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for origin, status in ((own, 200), (ORIGIN, 400), ("null", 400), (f"{own}.evil.example", 400)):
        answers = [
            client.options("/flows/filter", auth=None, headers={"Origin": origin, **asked}),
            client.post("/flows/filter", json={}, headers={"Origin": origin}),
        ]
        assert answers[0].status_code == status
        assert [a.headers.get("Access-Control-Allow-Origin") for a in answers] == [own if origin == own else None] * 2


@pytest.mark.parametrize("token", [None, "dwf:guessed"])
def test_events_are_no_way_in(served: Served, token: str | None) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    async def greet() -> Any:
        url = f"{served.url.replace('http', 'ws')}/events/out"
        subprotocols: Any = ["prefect"] if token else None
        async with connect(url, subprotocols=subprotocols, origin=ORIGIN) as socket:  # type: ignore[arg-type]
            await socket.send(f'{{"type": "auth", "token": "{token}"}}')
            return await socket.recv()

    with pytest.raises((WebSocketException, OSError)):
        asyncio.run(asyncio.wait_for(greet(), 20))


def test_the_secret_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(auth_of(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {auth_of(tmp_path)}
    assert len(found[0]) > 40
    assert [file.name for file in tmp_path.iterdir()] == ["auth"]
    assert (tmp_path / "auth").stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    assert auth_of(tmp_path / "other") != found[0]


def test_it_is_told_to_the_stores_own_server_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
    home = home_of(served.store)
    for url, at, told in (
        (served.url, home, True),
        (served.url, tmp_path, False),
        ("http://127.0.0.1:1/api", home, False),
    ):
        with reporting_to(url, at, aloud=False):
            assert os.environ.get("PREFECT_API_AUTH_STRING") == (auth_of(home) if told else None)
        ready = _ready(url, at, "http://127.0.0.1:2")
        assert (GUARDED.split("{")[0] in ready) == ("PREFECT_API_AUTH_STRING=$(cat " in ready) == told
        assert auth_of(home) not in ready


def requested(served: Served, **parameters: Any) -> Any:
    """The state in which a run ends that nobody started on the command line."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from pipeline.prefect.flow import dwf

    with temporary_settings({PREFECT_API_URL: served.url}):
        return dwf(**parameters, return_state=True)


@pytest.mark.parametrize(
    "overrides",
    [
        HOSTILE,
        {"zoo.network.model": "os:system"},
        {"zoo.network={kind: model, model: 'os:system', kwargs: {command: touch X}, input: [4]}#": 1},
        {"zoo.dataset": {"kind": "factory", "make": "os:system", "kwargs": {"command": "touch X"}}},
        {"zoo.recipe": {"kind": "factory", "train": "os:system"}},
        {"store_root": "../elsewhere"},
    ],
)
def test_a_hostile_request_ends_in_one_line(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    state = requested(served, config="smoke", overrides=overrides)
    assert state.name == "Failed"
    assert state.message.startswith("overrides: ")
    assert len(state.message.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_trust_is_given_on_the_command_line_and_by_no_request(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.prefect.flow import run_here

    fake_run.fake(monkeypatch.setattr)
    seen = []
    monkeypatch.setattr(fake_run, "misbehave", lambda runner, stage: seen.append(runner.experiment.trust))
    monkeypatch.chdir(tmp_path)
    with trusting(["some_package"]):
        run_here(served.url, {"config": "smoke", "store": str(tmp_path)}, fake_run.Lines())
    assert seen == [("some_package",)]
    with pytest.raises(TypeError):
        requested(served, config="smoke", trust=["os"])
    assert "unknown key" in requested(served, config="smoke", overrides={"trust": "os"}).message


def test_a_plain_one_runs(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_run.fake(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    assert requested(served, config="smoke", overrides={"fit.steps": 50}, store="data").name == "Completed"
    assert requested(served, config="smoke", store="..").name == "Failed"
    monkeypatch.setenv("DWF_SERVED_STORE", str(tmp_path.parent / "elsewhere"))
    assert requested(served, config="smoke", store=str(tmp_path.parent / "elsewhere")).name == "Completed"
