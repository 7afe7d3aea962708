"""The command line in this process, and one Prefect server for the session, of the kind that `dwf run` starts."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_run import Served
from processes import run_to_the_end
from smoke import Dwf

from pipeline import __main__
from pipeline.prefect.discovery import auth_of, home_of, reporting_to
from pipeline.prefect.server import embedded_server


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = tmp_path_factory.mktemp("served")
    home = home_of(store)
    with embedded_server(home) as server:
        with reporting_to(server.url, home, aloud=False):
            importlib.import_module("pipeline.prefect.flow")
        server.wait()

        def ask(what: str, **query: Any) -> list[dict[str, Any]]:
            user, password = auth_of(home).split(":")
            answer = httpx.post(f"{server.url}/{what}/filter", json=query, auth=(user, password))
            return answer.raise_for_status().json()

        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_AUTH_STRING: auth_of(home), PREFECT_API_URL: server.url}):
            yield Served(store, server.url, ask)


@pytest.fixture
def dwf(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dwf:
    """Run a command in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dwf", *map(str, arguments)])
        monkeypatch.delenv("DWF_DEBUG", raising=False)
        code = __main__.run()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a run without Prefect filled, by processes like those that are killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, said = run_to_the_end(folder / "store", "--direct", log=folder / "log")
    assert code == 0, said
    return folder / "store"
