"""The command line: what each command says, and that every mistake is one line and the right exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from smoke import PROJECT, SMOKE, Done, Dwf

from pipeline import runner
from pipeline.dag import STAGES
from stages.artifacts.members import open_weights
from stages.errors import DwfError


def one_line(err: str) -> bool:
    return err.startswith("dwf: ") and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "conf/smok.yaml"], 2, "did you mean 'smoke'"),
        (["run", SMOKE, "--set", "fit.stesp=5"], 2, "did you mean 'steps'"),
        (["run", SMOKE, "--set", "zoo.members=-1"], 2, "greater than or equal to 2"),
        (["stage", "fitt", SMOKE], 2, "no stage"),
        (["verify", "/nowhere"], 2, "neither a path nor one of the stages"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(dwf: Dwf, arguments: list[object], code: int, says: str):
    found, _, err = dwf(*arguments)
    assert found == code
    assert one_line(err)
    assert says in err


@pytest.mark.parametrize("arguments", [["bogus"], ["stage", "zoo"], ["run", SMOKE, "--bogus"]])
def test_unknown_words_are_code_2(dwf: Dwf, arguments: list[object]):
    assert dwf(*arguments)[0] == 2


def test_a_data_set_that_is_not_there_says_what_to_put_where(dwf: Dwf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DWF_OFFLINE", "1")
    code, _, err = dwf("stage", "zoo", "conf/mnist_mlp.yaml", "--store", tmp_path, "--data-root", tmp_path / "none")
    assert code == 1
    assert one_line(err)
    assert str(tmp_path / "none" / "MNIST" / "raw") in err
    assert "--data-root" in err


def test_a_data_root_that_is_a_file_is_one_line(dwf: Dwf, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, _, err = dwf("stage", "zoo", "conf/mnist_mlp.yaml", "--store", tmp_path, "--data-root", tmp_path / "file")
    assert code == 1
    assert one_line(err)


def test_a_store_that_is_a_file_is_one_line(dwf: Dwf, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, _, err = dwf("run", SMOKE, "--direct", "--store", tmp_path / "file")
    assert code == 1
    assert one_line(err)
    assert "can't write here" in err


def test_only_refuses_to_run_what_is_missing(dwf: Dwf, tmp_path: Path):
    code, _, err = dwf("stage", "fit", SMOKE, "--only", "--store", tmp_path)
    assert code == 1
    assert "needs zoo" in err


def test_one_stage_runs_the_missing_ones_before_it_and_no_more(dwf: Dwf, tmp_path: Path):
    code, out, _ = dwf("stage", "pack", SMOKE, "--store", tmp_path)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if " done " in line] == ["zoo", "canonicalize", "pack"]
    assert dwf("stage", "pack", SMOKE, "--only", "--store", tmp_path)[0] == 0


def test_ctrl_c_is_one_clear_line(dwf: Dwf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run_directly", interrupted)
    code, _, err = dwf("run", SMOKE, "--direct", "--store", tmp_path)
    assert code == 130
    assert one_line(err)
    assert "run the same command to go on" in err


def test_debug_shows_where_it_happened(dwf: Dwf, tmp_path: Path):
    with pytest.raises(DwfError):
        dwf("--debug", "show", "fit", "--store", tmp_path)


LEAVE = "import atexit; atexit.register(print, 'registered'); from pipeline.__main__ import leave; print('said'); "


@pytest.mark.parametrize("code", [0, 1, 130])
def test_leaving_keeps_the_exit_code_and_what_was_printed(code: int):
    ended = subprocess.run(
        [sys.executable, "-c", f"{LEAVE} leave({code})"], capture_output=True, text=True, cwd=PROJECT
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "said\nregistered\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_leaving_with_output_that_cannot_be_written_is_a_failure():
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", f"{LEAVE} leave(0)"], stdout=full, cwd=PROJECT)
    assert ended.returncode == 1


def test_a_finished_run_is_reused_without_torch_or_prefect(finished: tuple[Path, Done]):
    code = (
        "import sys; from pipeline.__main__ import run\n"
        f"sys.argv = ['dwf', 'run', {str(SMOKE)!r}, '--store', {str(finished[0])!r}]\n"
        "run()\nprint('loaded', {'torch', 'prefect', 'zarr'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True).stdout
    assert sum(" reused " in line for line in out.splitlines()) == 7
    assert "held-out" in out
    assert "report.html" in out
    assert "loaded set()" in out


def test_plan_says_what_would_happen(dwf: Dwf, finished: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = dwf("plan", SMOKE, "--store", finished[0], "--set", "sample.networks=9")[1]
    assert [line.split()[2] for line in out.splitlines() if line.startswith(STAGES)] == ["reuse"] * 4 + ["run"] * 3
    assert "networks 8 -> 9" in out


def test_show_prints_lineage_params_and_every_array(dwf: Dwf, finished: tuple[Path, Done]):
    out = dwf("show", "pack", "--store", finished[0])[1]
    assert finished[1]["zoo"][0].key in out
    for word in ("weights", "network=16, parameter=67", "crc32c", "ratio", "mean", "pca/gram", "layout/tensor"):
        assert word in out
    assert "weights" in dwf("show", finished[1]["sample"][0].path / "weights.zarr")[1]


def test_verify_is_content_with_every_artifact(dwf: Dwf, finished: tuple[Path, Done]):
    for stage in finished[1]:
        assert "sound" in dwf("verify", stage, "--store", finished[0])[1]


def test_verify_names_a_flipped_file_and_fails(dwf: Dwf, finished: tuple[Path, Done], store: Path):
    chunk = (
        store / finished[1]["sample"][0].path.relative_to(finished[0]) / "weights.zarr" / "weights" / "c" / "0" / "0"
    )
    values = bytearray(chunk.read_bytes())
    values[5] ^= 1
    chunk.write_bytes(values)
    code, _, err = dwf("verify", "sample", "--store", store)
    assert code == 1
    assert "weights.zarr/weights/c/0/0: changed" in err


def test_exported_networks_are_the_sampled_ones(dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path):
    assert dwf("export", "sample", tmp_path / "nets", "--store", finished[0])[0] == 0
    sampled = open_weights(finished[1]["sample"][0])
    assert len(list((tmp_path / "nets").glob("*.safetensors"))) == len(sampled) == 8
    tensors = load_file(tmp_path / "nets" / "generated-00003.safetensors")
    assert (sampled.layout.flatten(tensors) == sampled.rows(3, 4)[0]).all()
    assert json.loads((tmp_path / "nets" / "config.json").read_text())["network"]["widths"] == [4, 8, 3]


def test_what_holds_no_networks_is_not_exported(dwf: Dwf, finished: tuple[Path, Done], tmp_path: Path):
    code, _, err = dwf("export", finished[1]["fit"][0].path, tmp_path / "nets")
    assert code == 1
    assert "export a sampled one" in err


def test_schema_prints_json(dwf: Dwf):
    assert "zoo" in json.loads(dwf("schema")[1])["properties"]


def test_symmetry_lists_what_can_be_relabelled(dwf: Dwf):
    code, out, _ = dwf("symmetry", "conf/smoke.yaml", "foreign_checkpoints:convnet", "--input", "1,8,8")
    assert code == 0
    found = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert found["conf/smoke.yaml"][1:3] == ["67", "1"]  # 4-8-3: one hidden layer, one group
    assert found["foreign_checkpoints:convnet"][1:3] == ["59", "1"]
    assert "no change" not in out


def test_symmetry_lists_every_group_where_asked(dwf: Dwf):
    _, out, _ = dwf("symmetry", "foreign_checkpoints:convnet", "--input", "1,8,8", "--groups")
    assert "0.weight[0], 1.weight[0], 1.bias[0], 1.running_mean[0] and 2 more" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "names no model"),
        (["foreign_checkpoints:missing"], "missing"),
        (["foreign_checkpoints:convnet", "--input", "a,b"], "expected whole numbers"),
    ],
)
def test_symmetry_says_what_is_wrong_with_a_network(dwf: Dwf, arguments: list[str], says: str):
    code, _, err = dwf("symmetry", *arguments)
    assert code == 2
    assert one_line(err)
    assert says in err
