"""The reports of a store as web pages: finished reports, for this machine alone, and nothing else."""

import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.prefect.report_server import address_of, reports_served

KEY = "3f2a91c0b4ec7dc2"
Ask = Callable[..., tuple[int, bytes, http.client.HTTPMessage]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a report of a run, one of a sweep, and other files."""
    root = tmp_path_factory.mktemp("parent") / "store"
    for folder in ("7_report", "8_sweeps", "7_report/../6_evaluated", f"7_report/{KEY}.partial"):
        inner = root / folder / ("" if "partial" in folder else KEY)
        inner.mkdir(parents=True)
        (inner / "report.html").write_text(f"the page in {folder}")
        (inner / "figures.csv").write_text("secret")
    (root.parent / "report.html").write_text("secret")
    return root


@pytest.fixture(scope="module")
def host(store: Path) -> Iterator[str]:
    """Where the store's reports are served."""
    with reports_served(store, 0) as server:
        yield server.removeprefix("http://")


@pytest.fixture(scope="module")
def ask(host: str) -> Ask:
    """Send a request as it is, and give status, body and headers."""

    def send(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(host, timeout=10)
        connection._validate_path = lambda path: None  # whatever a client may send
        connection.putrequest(method, path, skip_host=True)
        for name, value in ({"Host": host} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, answer.headers

    return send


@pytest.mark.parametrize("folder", ["7_report", "8_sweeps"])
def test_finished_reports_open(ask: Ask, store: Path, folder: str) -> None:
    path = address_of(store / folder / KEY, "")
    status, page, headers = ask(path)
    assert (status, page) == (200, f"the page in {folder}".encode())
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Length"] == str(len(page))


def test_the_head_alone_comes_without_the_page(host: str) -> None:
    name, port = host.split(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(f"HEAD /7_report/{KEY}/report.html HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 200")
    assert answer.endswith(b"\r\n\r\n")


SEGMENTS = ("", ".", "..", "%2e%2e", "7_report", "8_sweeps", "6_evaluated", KEY, f"{KEY}.partial", "report.html")
ALLOWED = {f"/{folder}/{KEY}/report.html" for folder in ("7_report", "8_sweeps")}


@given(path=st.lists(st.sampled_from((*SEGMENTS, "figures.csv", "..%2f", "\\", "report.html?x")), max_size=6))
@example(path=["7_report"])
@example(path=["7_report", KEY, ""])
@example(path=["7_report", KEY, "figures.csv"])
@example(path=["7_report", f"{KEY}.partial", "report.html"])
@example(path=["7_report", "..", "6_evaluated", KEY, "report.html"])
@example(path=["7_report", "..", "..", "report.html"])
@example(path=["6_evaluated", KEY, "report.html"])
def test_nothing_else_does(ask: Ask, path: list[str]) -> None:
    asked = "/" + "/".join(path)
    status, body, _ = ask(asked)
    assert (status == 200) == (asked in ALLOWED)
    assert b"secret" not in body
    assert KEY.encode() not in body, "no folder is listed"


@pytest.mark.parametrize("path", ["*", f"http://localhost/7_report/{KEY}/report.html", f"7_report/{KEY}/report.html"])
def test_an_address_must_begin_at_the_root(ask: Ask, path: str) -> None:
    assert ask(path)[0] == 404


@pytest.mark.parametrize("name", ["evil.example", "evil.example:4201", "127.0.0.1", "localhost:1", ""])
def test_a_page_of_another_site_cannot_read_reports_by_a_name_that_leads_here(ask: Ask, name: str) -> None:
    status, body, _ = ask(f"/7_report/{KEY}/report.html", Host=name)
    assert status == 421
    assert b"the page" not in body


def test_no_other_origin_is_let_in(ask: Ask) -> None:
    for origin in ("http://evil.example", "null"):
        _, _, headers = ask(f"/7_report/{KEY}/report.html", Origin=origin)
        assert not [name for name in headers if name.lower().startswith("access-control")]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_reports_are_only_read(ask: Ask, method: str) -> None:
    assert ask(f"/7_report/{KEY}/report.html", method)[0] == 501


def test_no_link_leads_out_of_the_store(tmp_path: Path) -> None:
    outside = tmp_path / "outside" / KEY
    outside.mkdir(parents=True)
    (outside / "report.html").write_text("secret")
    store = tmp_path / "store"
    (store / "7_report" / "ab").mkdir(parents=True)
    (store / "7_report" / "ab" / "report.html").symlink_to(outside / "report.html")
    (store / "7_report" / "cd").symlink_to(outside)
    (store / "8_sweeps").symlink_to(outside.parent)
    with reports_served(store, 0) as server:
        for path in ("7_report/ab", "7_report/cd", f"8_sweeps/{KEY}"):
            connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=10)
            connection.request("GET", f"/{path}/report.html")
            assert connection.getresponse().status == 404
            connection.close()


def test_a_store_may_itself_be_a_link_and_its_port_another_if_taken(store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with reports_served(tmp_path / "link", port) as server:
            assert not server.endswith(f":{port}")
            connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=10)
            connection.request("GET", f"/7_report/{KEY}/report.html")
            assert connection.getresponse().status == 200
            connection.close()
