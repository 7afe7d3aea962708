"""Members' test scores after import, canonicalize, pack and completion are those of their files in plain torch."""

from pathlib import Path

import buffered_networks
import numpy as np
import pytest
import torch
import yaml
from buffered_networks import write_zoo
from member_scores import measured_scores
from safetensors.torch import load_file

from pipeline.config import load
from pipeline.runner import Runner, run_directly
from stages import canonicalize
from stages.artifacts.export import export_networks
from stages.errors import FunctionChanged, UsageError
from stages.store.refs import Ref
from stages.symmetry.derive import derive

QUICK = {
    "fit": {"velocity": {"hidden": 16, "time_dim": 8, "dropout": 0.0}, "steps": 10, "batch": 4},
    "sample": {"networks": 3, "method": "euler", "steps": 2},
    "evaluate": {"baseline_networks": 3, "noise_levels": [0.1], "interpolation_fractions": [0.5], "soup_sizes": [2]},
}
ONE_EXAMPLE = 1 / 45
NETWORKS = ["SinusoidalPositions", "FourierFeatures", "spectrally_normalised", "Standardised"]


def run(folder: Path, name: str) -> dict[str, Ref]:
    zoo = {
        "source": "checkpoints",
        "files": str(folder / "zoo/*.pt"),
        "model": f"buffered_networks:{name}",
        "input": [4],
        "heldout": 3,
        "dataset": "iris",
    }
    config = folder / "own.yaml"
    config.write_text(yaml.safe_dump({"zoo": zoo, **QUICK}))
    made: dict[str, Ref] = {}
    run_directly(Runner(load(config, store=folder / "data")), lambda stage, ref, _: made.update({stage: ref}))
    return made


@pytest.mark.parametrize("name", NETWORKS)
def test_members_score_as_their_files_do_in_plain_torch(tmp_path, name):
    plain = write_zoo(tmp_path / "zoo", getattr(buffered_networks, name))
    found = measured_scores(run(tmp_path, name))
    assert found.keys() == plain.keys()
    assert max(abs(found[file] - score) for file, score in plain.items()) < 1.5 * ONE_EXAMPLE
    assert np.mean(list(plain.values())) > 0.6, "a network that guesses would score the same with any buffers"


def test_exported_networks_hold_the_constants_of_the_members(tmp_path):
    write_zoo(tmp_path / "zoo", buffered_networks.Standardised)
    made = run(tmp_path, "Standardised")
    export_networks(made["sample"].path, tmp_path / "new")
    for file in (tmp_path / "new").glob("*.safetensors"):
        assert torch.equal(load_file(file)["mean"], torch.tensor([1.0, -1.0, 2.0, 0.5]))


def test_exported_networks_hold_singular_vectors_of_their_own(tmp_path):
    write_zoo(tmp_path / "zoo", buffered_networks.spectrally_normalised)
    made = run(tmp_path, "spectrally_normalised")
    export_networks(made["sample"].path, tmp_path / "new")
    for file in (tmp_path / "new").glob("*.safetensors"):
        state = load_file(file)
        weight, left, right = (state[f"0.parametrizations.weight.{end}"] for end in ("original", "0._u", "0._v"))
        assert float(left @ weight @ right) == pytest.approx(float(torch.linalg.matrix_norm(weight, 2)), rel=1e-4)


def test_a_table_that_moves_constants_is_found_out(tmp_path, monkeypatch):
    write_zoo(tmp_path / "zoo", buffered_networks.FourierFeatures, 5)
    monkeypatch.setattr(canonicalize, "derive", lambda module, example, _: derive(module, example))
    with pytest.raises(FunctionChanged, match="frequencies"):
        run(tmp_path, "FourierFeatures")


def test_own_buffers_that_nothing_computes_stop_the_run_before_a_flow_is_fitted(tmp_path):
    write_zoo(tmp_path / "zoo", buffered_networks.Standardised, 5)
    state = torch.load(tmp_path / "zoo/seed3.pt", weights_only=True)
    torch.save(state | {"std": state["std"] * 2}, tmp_path / "zoo/seed3.pt")
    with pytest.raises(UsageError, match=r"buffer 'std' differs between members"):
        run(tmp_path, "Standardised")
    assert not list((tmp_path / "data").glob("*_pack/*"))
