"""What holds for every test: reproducible draws, and no more threads than small networks can use."""

import os
import shutil
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before torch is loaded; see pipeline/__main__.py

import pytest
import torch
from hypothesis import HealthCheck, settings
from smoke import Done, run_smoke

from stages import report

settings.register_profile(
    "dwf",
    deadline=None,  # a store takes as long as the disk does
    derandomize=True,  # the same examples on every machine
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dwf")
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)  # workers share the cores
os.fsync = lambda descriptor: None  # no test cuts the power, and every store would wait for the disk


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has its own tests; elsewhere its plots would be most of the time."""
    monkeypatch.setattr(report, "write_page", lambda path, figures, run, pictures: path.write_text("a page"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The smoke configuration's store, finished; to be read only."""
    root = tmp_path_factory.mktemp("finished")
    return root, run_smoke(root)


@pytest.fixture
def store(finished: tuple[Path, Done], tmp_path: Path) -> Path:
    """A copy of the finished store, free to be harmed."""
    shutil.copytree(finished[0], tmp_path / "store")
    return tmp_path / "store"
