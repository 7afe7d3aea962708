"""What holds for every test: reproducible draws, and no more threads than small networks can use."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before torch is loaded; see pipeline/__main__.py

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from smoke import Done

settings.register_profile(
    "dwf",
    deadline=None,  # a store takes as long as the disk does
    derandomize=True,  # the same examples on every machine
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dwf")
os.fsync = lambda descriptor: None  # no test cuts the power, and every store would wait for the disk


# What is slow to import is imported within fixtures: the process that only hands out tests needs none of it.


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> None:
    """Several processes of tests share the cores."""
    import torch

    torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


@pytest.fixture(scope="session", autouse=True)
def quick_report() -> Iterator[None]:
    """The page has its own tests; wherever the dag runs in this process its plots would be most of the time."""
    from stages import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_page", lambda path, figures, run, pictures: path.write_text("a page"))
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "Done"]:
    """The smoke configuration's store, finished; to be read only."""
    from smoke import run_smoke

    root = tmp_path_factory.mktemp("finished")
    return root, run_smoke(root)


@pytest.fixture
def store(finished: tuple[Path, "Done"], tmp_path: Path) -> Path:
    """A copy of the finished store, free to be harmed."""
    shutil.copytree(finished[0], tmp_path / "store")
    return tmp_path / "store"
