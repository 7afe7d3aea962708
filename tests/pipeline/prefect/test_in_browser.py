"""`dwf up` as somebody uses it who never types a command, and as a page of another site would: it gets nowhere."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from pictures import browser
from playwright.sync_api import Page, expect, sync_playwright
from smoke import PROJECT

from pipeline.configurations import DEFAULT
from pipeline.dag import STAGES
from pipeline.prefect.discovery import UpRecord, auth_of, home_of

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(not browser(), reason="Chromium isn't there")]
SHARDS = 2
"""Of the zoo of the smoke configuration: tasks beside those of the stages."""
PATIENCE = 60_000
"""Milliseconds that a page of Prefect's may take on a busy machine."""


class Up(NamedTuple):
    """A store with its `dwf up`, and the address of Prefect's pages."""

    store: Path
    pages: str

    @property
    def form(self) -> str:
        """The address of the form that starts a run."""
        return f"{self.pages}/deployments/deployment/{self.deployment}/run"

    @property
    def deployment(self) -> str:
        """The id of the deployment."""
        return self.ask("GET", "deployments/name/dwf/full")["id"]

    def ask(self, method: str, path: str, query: Any = None) -> Any:
        """The answer to its owner."""
        user, password = auth_of(home_of(self.store)).split(":")
        answer = httpx.request(method, f"{self.pages}/api/{path}", json=query, auth=(user, password), timeout=60)
        return answer.raise_for_status().json()

    def last_run(self) -> dict[str, Any]:
        """The latest run."""
        return self.ask("POST", "flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC", "limit": 1})[0]

    def finished(self, run: str, minutes: float) -> dict[str, Any]:
        """A run once it has ended."""
        deadline = time.monotonic() + 60 * minutes
        while (found := self.ask("GET", f"flow_runs/{run}"))["state_type"] not in ("COMPLETED", "FAILED", "CRASHED"):
            assert time.monotonic() < deadline, found["state_name"]
            time.sleep(0.2)
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    store = tmp_path_factory.mktemp("up")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    command = [sys.executable, "-m", "pipeline", "up", "--store", str(store), "--port", str(port)]
    log = store / "up.log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
        try:
            deadline = time.monotonic() + 240
            while "'full' is served" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield Up(store, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


@pytest.fixture
def page(up: Up) -> Iterator[Page]:
    """A page of a browser that knows nobody but this machine."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1280, "height": 1400})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.route(lambda address: not address.startswith("http://127.0.0.1:"), lambda route: route.abort())
        yield page
        chromium.close()


def submit(up: Up, page: Page, minutes: float) -> str:
    """Start the run that the form describes, and open its page once it has ended. Returns its name."""
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/deployments/deployment/*tab=Runs*")
    run = up.finished(up.last_run()["id"], minutes)
    page.goto(f"{up.pages}/runs/flow-run/{run['id']}")  # the list of runs looks for news every half minute
    return run["name"]


def log_in(up: Up, page: Page) -> None:
    """Give the secret that the pages ask for, once."""
    page.goto(up.pages)
    page.locator("input[type=password]").fill(auth_of(home_of(up.store)))
    page.get_by_role("button", name="Login").click()
    page.wait_for_url("**/dashboard*")


def test_from_the_form_to_the_report(up: Up, page: Page) -> None:
    log_in(up, page)
    page.goto(up.form)
    page.get_by_role("button", name=DEFAULT, exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.get_by_text("smoke", exact=True).click()
    name = submit(up, page, minutes=8)

    assert re.fullmatch(r"smoke [0-9a-f]{8}", name)
    expect(page.get_by_text(name).first).to_be_visible()
    for tag in ("cpu", "iris", "smoke"):
        expect(page.locator(".p-tag").get_by_text(tag, exact=True).first).to_be_visible()
    expect(page.locator(".state-badge").first).to_have_text("Completed")
    expect(page.get_by_text(re.compile(r"^generated: .*Accuracy, % \d")).first).to_be_visible()

    page.get_by_text("Task Runs", exact=True).first.click()
    for stage in STAGES:
        expect(page.get_by_role("link", name=stage, exact=True)).to_be_visible()
    badges = page.locator(".state-badge")
    expect(badges).to_have_count(1 + len(STAGES) + SHARDS)
    for badge in badges.all():
        red, green, blue = map(int, re.findall(r"\d+", badge.evaluate("e => getComputedStyle(e).backgroundColor")))
        assert green > max(red, blue)

    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text("dwf-frontier").last.click()
    picture = page.locator("img[src^='data:image/png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("e => e.naturalWidth") > 300
    page.go_back()
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text("dwf-report").last.click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the report").click()
    expect(opened.value.locator("h1")).to_have_text("smoke")
    expect(opened.value.locator("svg").first).to_be_visible()


def test_a_run_that_fails_says_why_in_one_line(up: Up, page: Page) -> None:
    log_in(up, page)
    page.goto(up.form)
    page.get_by_text("path", exact=True).click()
    page.locator("textarea").first.fill("nowhere.yaml")
    assert submit(up, page, minutes=3) == "nowhere.yaml"
    expect(page.locator(".state-badge").first).to_have_text("Failed")
    reason = "nowhere.yaml: no such configuration"
    expect(page.get_by_text(re.compile(f"^{reason}"))).to_be_visible()
    assert "Traceback" not in page.locator("body").inner_text()
    page.get_by_text("Details", exact=True).first.click()
    expect(page.get_by_text(reason)).to_be_visible()


HOSTILE = {"zoo.network": {"kind": "model", "model": "os:system", "kwargs": {"command": "touch X"}, "input": [4]}}
ATTEMPTS = """async ([pages, reports, deployment, overrides]) => {
    const body = JSON.stringify({parameters: {config: "smoke", overrides}, state: {type: "SCHEDULED"}});
    const start = `${pages}/api/deployments/${deployment}/create_flow_run`;
    const json = {"Content-Type": "application/json"};
    const attempts = {
        read: () => fetch(`${pages}/api/deployments/name/dwf/full`),
        include: () => fetch(`${pages}/api/deployments/name/dwf/full`, {credentials: "include"}),
        start: () => fetch(start, {method: "POST", headers: json, body}),
        guess: () => fetch(start, {method: "POST", headers: {...json, Authorization: "Basic ZHdmOg=="}, body}),
        simple: () => fetch(start, {method: "POST", headers: {"Content-Type": "text/plain"}, body}),
        blind: () => fetch(start, {method: "POST", mode: "no-cors", body}),
        report: () => fetch(reports),
    };
    const found = {};
    for (const [name, attempt] of Object.entries(attempts)) {
        found[name] = await attempt().then(answer => answer.type, () => "refused");
    }
    return found;
}"""


def test_a_page_of_another_site_starts_nothing_and_reads_nothing(up: Up, page: Page, tmp_path: Path) -> None:
    log_in(up, page)  # in this very browser
    (tmp_path / "evil.html").write_text("<h1>evil</h1>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    before = up.ask("POST", "flow_runs/count", {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{evil.server_port}/evil.html")
        reports = UpRecord.read(home_of(up.store))
        assert reports
        found = page.evaluate(ATTEMPTS, [up.pages, reports.reports, up.deployment, HOSTILE])
        evil.shutdown()
    assert found == dict.fromkeys(found, "refused") | {"blind": "opaque"}, "an opaque answer tells a page nothing"
    assert up.ask("POST", "flow_runs/count", {}) == before
    page.goto(f"{up.pages}/dashboard")
    read = page.evaluate(f"() => fetch('{up.pages}/api/health').then(a => a.json())")
    assert read, "the control: its own pages may"


@pytest.mark.parametrize("overrides", [HOSTILE, {"zoo.network.model": "os:system"}])
def test_not_even_who_knows_the_secret_chooses_functions_by_request(up: Up, overrides: dict[str, Any]) -> None:
    query = {"parameters": {"config": "smoke", "overrides": overrides}, "state": {"type": "SCHEDULED"}}
    run = up.finished(up.ask("POST", f"deployments/{up.deployment}/create_flow_run", query)["id"], minutes=3)
    assert run["state_name"] == "Failed"
    assert re.fullmatch(r"overrides: 'zoo\.network\S*' [^\n]*", run["state"]["message"])
    assert not list(up.store.rglob("X"))
    assert not (PROJECT / "X").exists()
