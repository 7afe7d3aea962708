"""The report as a browser lays it out: on a wide screen, a narrow one, half of one, and a phone."""

import html
import re
import shutil
import subprocess

import pytest
from made_up_figures import RUN, made_up

from stages.reporting.page import write_page
from stages.reporting.plots import PLOTS

MEASURE = """<!doctype html><meta charset="utf-8">{frames}<pre id="measured"></pre><script>
addEventListener("load", () => {{
  const say = [];
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument;
    const boxes = [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect());
    const words = [...page.querySelectorAll("svg text")].map(text => text.getBoundingClientRect().height);
    const smallest = [boxes.map(b => b.width), boxes.map(b => b.height), words].map(all => Math.min(...all));
    const widths = [page.documentElement.scrollWidth, frame.contentWindow.innerWidth];
    const around = [...page.querySelectorAll(".scroll")];
    const beyond = Math.max(...around.map(box => box.scrollWidth - box.clientWidth));
    const held = around.filter(box => getComputedStyle(box).overflowX === "auto").length;
    const tables = [...page.querySelectorAll("table")];
    const inside = tables.filter(table => table.parentElement.classList.contains("scroll")).length;
    say.push([...widths, boxes.length, ...smallest, beyond, held, inside, tables.length].join(" "));
  }}
  document.getElementById("measured").textContent = say.join(";");
}});
</script>"""


WIDTHS = (1400, 1200, 1000, 600, 360)


def test_every_figure_is_drawn_and_nothing_overflows_or_is_cut_off(tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium isn't installed")
    write_page(tmp_path / "report.html", made_up(), RUN)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    frames = "".join(
        f'<iframe width="{w}" height="800" style="border: 0" srcdoc="{html.escape(page)}"></iframe>' for w in WIDTHS
    )
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(MEASURE.format(frames=frames), encoding="utf-8")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    alone = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *alone, *quiet, "--virtual-time-budget=2000", "--dump-dom", wrapper.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    measured = re.search(r'<pre id="measured">([^<]+)</pre>', dom)
    assert measured
    for width, line in zip(WIDTHS, measured[1].split(";"), strict=True):
        scroll, inner, count, svg_width, svg_height, text, beyond, held, inside, tables = map(float, line.split())
        assert scroll <= inner == width
        assert count == len(PLOTS)
        assert min(svg_width, svg_height) > 60
        assert text > 7
        assert held == inside == tables == 5, "a table that is wider than the page scrolls in its box"
        assert beyond == 0 or width < 1000, "on a wider page none is"
