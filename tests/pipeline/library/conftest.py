"""One finished run, opened from Python, for all tests of the library in a process."""

import shutil
from pathlib import Path

import pytest
from smoke import Done

import dwf


@pytest.fixture(scope="session")
def run(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> dwf.Run:
    """In a store that may grow."""
    store = tmp_path_factory.mktemp("library") / "data"
    shutil.copytree(finished[0], store)
    return dwf.open("smoke", store=store, device="cpu", threads=1)
