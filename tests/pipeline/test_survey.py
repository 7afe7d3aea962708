"""The survey of well-known networks: how much of their symmetry is derived, and that none of it is false."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.survey import COLUMNS, ENOUGH, EXACT, Check, enough, networks_of, survey_one, surveyed_networks
from stages.errors import UsageError
from stages.params.network import Model
from stages.symmetry.derive import derive
from stages.symmetry.table import Axis, Group, Symmetry

LIST = networks_of(Path("conf/surveys/symmetry.yaml"))
SMALL = [n for n in LIST if n.kwargs.get("model_type") in ("gpt2", "qwen3", "electra", "vit")]
pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries' own


@pytest.mark.parametrize("network", SMALL, ids=lambda n: str(n.kwargs["model_type"]))
def test_small_networks_are_covered_and_no_group_is_false(network: Model):
    found = survey_one(network)
    assert found.touched >= ENOUGH
    assert found.gap <= EXACT
    assert (found.controls, found.failed) == (5, ())


@pytest.mark.survey
@pytest.mark.parametrize("network", LIST, ids=lambda n: f"{n.model} {n.kwargs.get('model_type', '')}")
def test_no_group_of_any_network_is_false(network: Model):
    found = survey_one(network)
    assert found.parameters, found.notes
    assert found.gap <= EXACT


def test_a_false_group_is_found():
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    example = torch.randn(2, 4)
    (name,), (right,) = zip(*derive(net, example).symmetry.groups.items(), strict=True)
    check = Check(net, example)
    assert check.gap(Symmetry({name: right})) <= EXACT < check.gap_of_half(Symmetry({name: right}), name)
    assert check.gap(Symmetry({name: Group(6, right.axes[:-1])})) > EXACT
    assert check.gap(Symmetry({"outputs": Group(3, (Axis("2.bias", 0),))})) > EXACT


def test_rows_are_written_as_networks_are_done_and_what_breaks_is_one_of_them(tmp_path: Path):
    listed = tmp_path / "list.yaml"
    listed.write_text(
        "- {model: 'torch.nn:Linear', input: [4], kwargs: {in_features: 4, out_features: 2}}\n"
        "- {model: 'torch.nn:Linear', input: [5], kwargs: {in_features: 4, out_features: 2}}\n"
    )
    found = list(surveyed_networks(listed, tmp_path / "rows.csv"))
    rows = list(csv.reader((tmp_path / "rows.csv").open()))
    assert tuple(rows[0]) == COLUMNS
    assert [surveyed.row() for surveyed in found] == [tuple(row) for row in rows[1:]]
    assert len(found) == 2
    assert "shapes cannot be multiplied" in rows[2][-1]
    assert (
        enough([surveyed.touched for surveyed in found])
        == "0 of 2 networks have 95 % of their parameters in some group"
    )


def test_a_file_that_is_no_list_is_named(tmp_path: Path):
    (tmp_path / "list.yaml").write_text("model: timm:resnet18\n")
    with pytest.raises(UsageError, match=r"list\.yaml: no list of networks"):
        networks_of(tmp_path / "list.yaml")
