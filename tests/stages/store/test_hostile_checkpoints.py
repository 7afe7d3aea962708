"""Whatever a checkpoint holds, reading it ends soon, in little memory, and with one line if it is refused."""

from pathlib import Path

import pytest
import torch
from foreign_checkpoints import convnet
from hostile_checkpoints import HOSTILE, PLAIN
from hostile_configurations import assert_readable, within_bounds

from stages.errors import DwfError
from stages.store.checkpoint_files import read_checkpoints
from stages.store.state_dicts import Expected

EXPECTED = Expected.of_module(convnet())
ROW = EXPECTED.match(PLAIN, "a.pt").row


def read(path: Path) -> torch.Tensor | None:
    """The row of the network in a file, None if the file is refused in one readable line that names it."""
    try:
        found = read_checkpoints(path, EXPECTED)
        return EXPECTED.match(found[0].tensors, str(path)).row
    except DwfError as error:
        said = str(error)
    assert_readable(said)
    assert "\n" not in said
    assert said.startswith(str(path.parent))
    return None


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore")
def test_a_hostile_file_is_refused_or_holds_what_it_should(tmp_path: Path, kind: str):
    path = HOSTILE[kind](tmp_path)
    with within_bounds(30.0):
        row = read(path)
    assert row is None or torch.equal(row, ROW)
