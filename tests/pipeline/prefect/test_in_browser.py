"""`dwf up` as somebody uses it who never types a command: the form, the run, its log, the report."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from pictures import browser
from playwright.sync_api import Page, expect, sync_playwright

from pipeline.configurations import DEFAULT
from pipeline.dag import STAGES

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
        deployment = httpx.get(f"{self.pages}/api/deployments/name/dwf/full").raise_for_status().json()
        return f"{self.pages}/deployments/deployment/{deployment['id']}/run"

    def last_run(self) -> dict[str, Any]:
        """The latest run."""
        query = {"sort": "EXPECTED_START_TIME_DESC", "limit": 1}
        return httpx.post(f"{self.pages}/api/flow_runs/filter", json=query).raise_for_status().json()[0]


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
    deadline = time.monotonic() + 60 * minutes
    while (run := up.last_run())["state_type"] not in ("COMPLETED", "FAILED", "CRASHED"):
        assert time.monotonic() < deadline, run["state_name"]
        time.sleep(0.2)
    page.goto(f"{up.pages}/runs/flow-run/{run['id']}")  # the list of runs looks for news every half minute
    return run["name"]


def test_from_the_form_to_the_report(up: Up, page: Page) -> None:
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
