from pathlib import Path

import pytest
import torch
from foreign_checkpoints import perceptron, save

from stages.errors import Damaged, UsageError
from stages.members.imported import all_members, chosen_members, left_out
from stages.members.sources.checkpoints import shards
from stages.params.checkpoints import ImportedZoo

MLP = {"kind": "mlp", "widths": [4, 6, 3]}


def params(folder: Path, pattern: str = "*", **changes) -> ImportedZoo:
    values = {"source": "checkpoints", "files": str(folder / pattern), "network": MLP, "heldout": 2}
    return ImportedZoo.model_validate(values | changes)


def state(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return dict(perceptron().state_dict())


def save_each(folder: Path, count: int) -> None:
    for seed in range(count):
        save(folder / f"run{seed}.pt", state(seed))


def named(p: ImportedZoo) -> list[str]:
    return [member.name for member in all_members(p)]


def test_networks_of_one_file_and_of_others_are_members_by_names_of_their_own(tmp_path):
    save(tmp_path / "a.pt", [state(0), state(1)])
    save(tmp_path / "b.pt", {f"seed{i}": state(i) for i in (2, 3, 4)})
    save(tmp_path / "c.pt", state(5))
    p = params(tmp_path)
    assert named(p) == ["a.pt:0000", "a.pt:0001", "b.pt:seed2", "b.pt:seed3", "b.pt:seed4", "c.pt"]
    assert sorted(m.name for m in chosen_members(p)) == named(p)
    assert [m.position for m in all_members(p)] == [0, 1, 0, 1, 2, 0]
    whole = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert whole - 6 < sum(m.size for m in all_members(p)) <= whole


def test_too_few_networks_are_counted_and_not_files(tmp_path):
    save(tmp_path / "a.pt", [state(0), state(1), state(2)])
    with pytest.raises(UsageError, match="matches 3 checkpoints, expected at least 4: 2 to learn from and 2 held out"):
        chosen_members(params(tmp_path))


def test_files_and_networks_may_be_skipped_and_count_as_left_out(tmp_path):
    save(tmp_path / "a.pt", [state(i) for i in range(4)])
    save_each(tmp_path / "runs", 4)
    (tmp_path / "runs" / "log.txt").write_text("no checkpoint")
    p = params(tmp_path, "**/*", skip=("*.txt", "run1.pt", "a.pt:0002", "runs/run[3]*"))
    assert named(p) == ["a.pt:0000", "a.pt:0001", "a.pt:0003", "runs/run0.pt", "runs/run2.pt"]
    assert left_out(p, 5) == 4
    assert left_out(p, 4) == 5


@pytest.mark.parametrize(
    ("skip", "said"),
    [
        (("run9.pt",), "zoo.skip: 'run9.pt' is none of the zoo's files; did you mean 'run"),
        (("*",), "zoo.skip: leaves out all 5 files"),
    ],
)
def test_a_name_to_skip_that_means_nothing_or_all_is_refused(tmp_path, skip, said):
    save_each(tmp_path, 5)
    with pytest.raises(UsageError, match=said):
        all_members(params(tmp_path, skip=skip))


def test_a_pattern_to_skip_may_mean_nothing(tmp_path):
    save_each(tmp_path, 5)
    assert len(all_members(params(tmp_path, skip=("*.tmp",)))) == 5


def test_what_can_not_be_read_is_listed_at_once_by_kind(tmp_path):
    save_each(tmp_path, 8)
    for name in ("run1.pt", "run4.pt", "run6.pt"):
        (tmp_path / name).write_bytes(b"torn")
    torch.save(perceptron(), tmp_path / "run2.pt")
    with pytest.raises(Damaged) as caught:
        all_members(params(tmp_path))
    said = str(caught.value)
    assert "run1.pt: not a whole checkpoint" in said
    assert "; the same in run4.pt, run6.pt; " in said
    assert "run2.pt: refused, as reading its torch.nn" in said
    assert said.endswith("; zoo.skip: ['run1.pt', 'run2.pt', 'run4.pt', 'run6.pt'] leaves them out")
    assert "\n" not in said
    assert len(all_members(params(tmp_path, skip=("run1.pt", "run2.pt", "run4.pt", "run6.pt")))) == 4


def test_no_zoo_is_advised_to_skip_all_of_its_files(tmp_path):
    for i in range(4):
        save(tmp_path / f"{i}.pt", {"a": state(i), "b": state(i + 10)})
    with pytest.raises(UsageError, match=r"zoo.key: a takes one of them.*; the same in 1.pt, 2.pt, 3.pt$"):
        all_members(params(tmp_path))


def test_copies_are_listed_together_with_the_way_out(tmp_path):
    save_each(tmp_path, 6)
    for name in ("x.pt", "y.pt"):
        (tmp_path / name).write_bytes((tmp_path / "run3.pt").read_bytes())
    said = r"run3\.pt and x\.pt hold the same network \(and 1 more are copies\); .* zoo.skip: \['x\.pt', 'y\.pt'\]"
    with pytest.raises(UsageError, match=said):
        shards(params(tmp_path))
    assert len(all_members(params(tmp_path, skip=("x.pt", "y.pt")))) == 6


def test_a_file_that_changed_is_read_anew(tmp_path):
    save_each(tmp_path, 4)
    p = params(tmp_path)
    assert len(all_members(p)) == 4
    save(tmp_path / "run3.pt", [state(30), state(31)])
    assert named(p) == ["run0.pt", "run1.pt", "run2.pt", "run3.pt:0000", "run3.pt:0001"]


def test_many_networks_of_a_file_share_shards_by_their_own_size(tmp_path, monkeypatch):
    save(tmp_path / "a.pt", [state(i) for i in range(8)])
    monkeypatch.setattr("stages.members.external.GIGABYTE", (tmp_path / "a.pt").stat().st_size // 2)
    assert [(shard.start, shard.stop) for shard in shards(params(tmp_path))] == [(0, 4), (4, 8)]
