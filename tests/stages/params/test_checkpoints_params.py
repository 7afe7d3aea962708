"""Parameters of an imported zoo: the short form, the files that a pattern means, and what enters the key."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.config import load
from pipeline.keys import key_of
from stages.errors import UsageError
from stages.params.checkpoints import ImportedZoo
from stages.params.zoo import Zoo, ZooParams

MLP = {"kind": "mlp", "widths": [4, 6, 3]}
VALUES = {"source": "checkpoints", "files": "runs/*.pt", "network": MLP, "heldout": 2}
TRAINED = {"dataset": "iris", "network": MLP, "members": 3, "heldout": 2, "recipe": {"lr": 1, "batch": 1, "epochs": 1}}


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_a_zoo_is_trained_unless_it_says_otherwise():
    union = TypeAdapter(Zoo)
    assert isinstance(union.validate_python(TRAINED), ZooParams)
    assert isinstance(union.validate_python({"source": "train", **TRAINED}), ZooParams)
    assert isinstance(union.validate_python(VALUES), ImportedZoo)
    assert union.validate_json(union.dump_json(ImportedZoo.model_validate(VALUES))) == ImportedZoo.model_validate(
        VALUES
    )


def test_the_network_may_be_written_in_short():
    short = {
        "source": "checkpoints",
        "files": "a",
        "heldout": 2,
        "model": "timm:vit_tiny_patch16_224",
        "kwargs": {"num_classes": 10},
        "input": [3, 224, 224],
    }
    network = {"kind": "model", **{name: short[name] for name in ("model", "kwargs", "input")}}
    long = {"source": "checkpoints", "files": "a", "heldout": 2, "network": network}
    assert ImportedZoo.model_validate(short) == ImportedZoo.model_validate(long)
    with pytest.raises(ValidationError, match="model and kwargs beside network: both describe the network; keep one"):
        ImportedZoo.model_validate({**VALUES, "model": "a:b", "kwargs": {}})


@pytest.mark.parametrize(
    "change",
    [
        {"heldout": 1},
        {"members": 1},
        {"files": ""},
        {"shard_size": 0},
        {"recipe": {}},
        {"key": ""},
        {"rename": {"(": ""}},
        {"rename": {"a": r"\1"}},
        {"rename": {"a": r"\g<name>"}},
    ],
)
def test_values_out_of_bounds_are_refused(change):
    with pytest.raises(ValidationError):
        ImportedZoo.model_validate(VALUES | change)


def key(folder: Path, **changes) -> str:
    return key_of("zoo", ImportedZoo.model_validate({**VALUES, "files": str(folder / "*.pt"), **changes}), {})


def test_the_key_depends_on_what_the_files_hold_and_not_on_where_they_lie(tmp_path):
    files(tmp_path, "a/1.pt", "a/2.pt", "b/1.pt", "b/2.pt")
    for name in ("1.pt", "2.pt"):
        (tmp_path / "b" / name).write_bytes((tmp_path / "a" / name).read_bytes())
    before = key(tmp_path / "a")
    assert before == key(tmp_path / "a") == key(tmp_path / "b")
    assert before != key(tmp_path / "a", seed=1)
    (tmp_path / "a" / "1.pt").write_text("A/1.pt")  # of the same length
    edited = key(tmp_path / "a")
    assert edited != before
    files(tmp_path, "a/3.pt")
    assert key(tmp_path / "a") not in (before, edited)
    (tmp_path / "b" / "2.pt").rename(tmp_path / "b" / "3.pt")
    assert key(tmp_path / "b") != before


@pytest.mark.parametrize(
    "change",
    [
        {"key": "model"},
        {"rename": {"a": "b"}},
        {"ignore": ["x"]},
        {"skip": ["2.pt"]},
        {"skip": ["*.tmp"]},
        {"ema": True},
    ],
)
def test_the_key_depends_on_what_is_read_of_the_files(tmp_path, change):
    files(tmp_path, "1.pt", "2.pt", "3.pt")
    assert key(tmp_path, **change) != key(tmp_path)


def test_the_order_of_renaming_is_part_of_the_key(tmp_path):
    files(tmp_path, "1.pt")
    one, other = {"a": "b", "b": "c"}, {"b": "c", "a": "b"}
    assert key(tmp_path, rename=one) != key(tmp_path, rename=other)
    assert key(tmp_path, rename=one) == key(tmp_path, rename=dict(one))


def test_a_file_that_is_skipped_is_no_part_of_the_key(tmp_path):
    files(tmp_path, "1.pt", "2.pt", "log.pt")
    before = key(tmp_path, skip=["log.pt"])
    (tmp_path / "log.pt").write_text("changed")
    assert key(tmp_path, skip=["log.pt"]) == before


def configuration(tmp_path: Path, zoo: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(f"zoo: {zoo}\nfit: {{velocity: {{hidden: 8}}, steps: 1, batch: 2}}\nsample: {{networks: 2}}\n")
    return path


def pattern(file: Path) -> str:
    zoo = load(file).zoo
    assert isinstance(zoo, ImportedZoo)
    return zoo.files


@pytest.mark.parametrize(
    ("files", "meant"), [("runs/*.pt", "{folder}/runs/*.pt"), ("/elsewhere/*.pt", "/elsewhere/*.pt")]
)
def test_a_relative_pattern_is_taken_from_the_configuration_s_folder(tmp_path: Path, files: str, meant: str):
    short = f"{{source: checkpoints, files: '{files}', model: 'a.b:c', input: [2], heldout: 2}}"
    assert pattern(configuration(tmp_path, short)) == meant.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("zoo", "said"),
    [
        ("{source: checkpoint, files: a}", "zoo.source: unknown value 'checkpoint'"),
        ("{source: checkpoint, files: a}", "did you mean 'checkpoints'?"),
        ("{source: checkpoints, network: {kind: mlp, widths: [2, 2]}, heldout: 2}", "zoo.files: required, but missing"),
        ("{source: checkpoints, files: a, model: 'a:b', heldout: 2}", "zoo.input: required, but missing"),
        (
            "{source: checkpoints, files: a, model: 'a:b', input: [2], heldout: 1}",
            "zoo.heldout: input should be greater",
        ),
        ("{source: checkpoints, files: a, model: 'a:b', input: [2], heldout: 2, recipe: 1}", "zoo.recipe: unknown key"),
        ("{source: checkpoints, files: a, file: b, model: 'a:b', input: [2], heldout: 2}", "did you mean 'files'"),
        ("{source: checkpoints, files: a, network: {kind: mlp, widths: [2]}, heldout: 2}", "zoo.network.widths: "),
        ("{dataset: iris, network: {kind: mlp, widths: [4, 3]}, members: 2, heldout: 2}", "zoo.recipe: required"),
    ],
)
def test_what_is_wrong_is_named_as_the_file_has_it(tmp_path, zoo, said):
    with pytest.raises(UsageError) as caught:
        load(configuration(tmp_path, zoo))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
