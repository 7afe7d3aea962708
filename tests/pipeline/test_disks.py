"""Disks that are read-only, full, or gone in mid-run: one line, and the work is kept."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest
from smoke import SMOKE, Done, Dwf, run_smoke

from pipeline import run_records, runner
from pipeline.prefect import server
from pipeline.prefect.server import embedded_server
from stages.errors import DwfError
from stages.store import artifact


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that no lock can be made in; root may write to any folder, whatever its mode says."""

    def refuse(root: Path, *names: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{root}: {names}")

    for module in (artifact, run_records, runner):
        monkeypatch.setattr(module, "lock", refuse)


@pytest.mark.parametrize(
    "command",
    [["run", SMOKE], ["run", SMOKE, "--direct"], ["stage", "report", SMOKE], ["plan", SMOKE], ["show", "fit"]],
)
def test_what_is_there_is_used_on_a_read_only_disk(
    finished: tuple[Path, Done], read_only: None, dwf: Dwf, command: list[object]
) -> None:
    assert dwf(*command, "--store", finished[0], "--quiet")[0] == 0


def test_what_is_missing_on_a_read_only_disk_is_one_line(store: Path, read_only: None) -> None:
    with pytest.raises(DwfError, match=r"4_fitted: can't write here \(Read-only file system\); choose another root"):
        run_smoke(store, "fit.steps=50")


@pytest.mark.parametrize(("error", "shown"), [(OSError(errno.ENOSPC, "odd"), False), (ValueError("odd"), True)])
def test_a_librarys_thread_says_nothing_of_a_full_disk(
    dwf: Dwf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, shown: bool
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # put back afterwards
    dwf("--version")
    threading.excepthook(threading.ExceptHookArgs((type(error), error, None, None)))
    assert ("odd" in capsys.readouterr().err) == shown


@pytest.mark.parametrize(
    ("log", "free", "words"),
    [
        ("disk.OperationalError: full\n(more)\n\nStartup failed. Exiting.", 2**30, "disk.OperationalError: full"),
        ("", 0, "no space is left on the disk of "),
    ],
)
def test_why_a_server_ended_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, free: int, words: str
) -> None:
    (tmp_path / "dies.py").write_text(f"import sys; sys.exit({log!r})")
    monkeypatch.setattr(server, "MARK", "dies")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(server.shutil, "disk_usage", lambda _: usage._replace(free=free))
    with pytest.raises(DwfError, match=f"ended while it started: {words}"), embedded_server(tmp_path) as starting:
        starting.wait()
