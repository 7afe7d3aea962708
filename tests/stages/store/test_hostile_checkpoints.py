"""Whatever a checkpoint holds, reading it ends soon, in little memory, and with one line if it is refused."""

from pathlib import Path

import pytest
import torch
from foreign_checkpoints import convnet
from hostile_checkpoints import HOSTILE, PLAIN
from hostile_configurations import assert_readable, within_bounds

from stages.errors import DwfError
from stages.store.checkpoint_files import read_checkpoints
from stages.store.checkpoint_formats import read_content
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


SAYS = {
    "an archive, packed by method 8": "is compressed, which torch.save never does",
    "an archive, a bomb": "would take 67,1",
    "an archive, changed archive/data/0": "doesn't fit its checksum",
    "an archive, two entries of a name": "is in it twice",
    "an archive, another packed size": "are said to be in",
    "a pickle: storage beyond its record": "no record in it has as many",
    "a pickle: 200 TB by strides": "would take 200,000,000,000,000 bytes, but the file has",
    "a pickle: a bytearray of 8 GB": "holds a bytearray",
    "saved: dict within itself": "holds itself",
    "saved: lists of the same lists": "without end",
    "saved: a tensor without values": "tensors without values",
    "saved: a name that is long": "a name of 1,000,000 characters",
    "saved: a stack of 10^9": "its tensors would take",
    "a tar archive": "a tar archive",
    "a pipe": "a folder, a pipe or a device",
    "an index of '..'": "lists '..', expected names of files beside it",
}


@pytest.mark.parametrize("kind", SAYS)
def test_the_reason_is_the_one_that_counts(tmp_path: Path, kind: str):
    path = HOSTILE[kind](tmp_path)
    with within_bounds(30.0), pytest.raises(DwfError, match=SAYS[kind]):
        read_content(path)
