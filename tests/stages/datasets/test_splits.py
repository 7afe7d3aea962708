import ast
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from stages.datasets import load_fitting, load_test, tables
from stages.datasets.examples import Examples, choose, of_classes
from stages.datasets.examples import split as cut
from stages.errors import UsageError
from stages.params.dataset import Dataset, Table, dataset_from

ROOT = Path(__file__).parents[3]
NOWHERE = Path("/nonexistent")  # iris and digits come with scikit-learn


def given(name: str, validation: float = 0.1, **counts: int) -> Dataset:
    return dataset_from({"name": name, "validation": validation, **counts})


def rows(data) -> set[bytes]:
    """Inputs and targets as comparable values."""
    return {x.numpy().tobytes() + bytes([int(y)]) for x, y in zip(data.inputs, data.targets, strict=True)}


@pytest.mark.parametrize(("name", "sizes"), [("iris", (95, 10, 45)), ("digits", (1212, 135, 450))])
def test_splits_have_their_sizes_and_cover_the_data(name, sizes):
    train, validation = load_fitting(given(name, 0.1), NOWHERE)
    test = load_test(given(name), NOWHERE)
    assert tuple(len(part.targets) for part in (train, validation, test)) == sizes
    for part in (train, validation, test):
        assert len(part.inputs) == len(part.targets)
        assert (part.inputs.dtype, part.targets.dtype) == (torch.float32, torch.int64)
    assert {type(part).__name__ for part in (train, validation, test)} == {"Train", "Validation", "Test"}


def test_splits_are_disjoint():
    train, validation = load_fitting(given("digits", 0.3), NOWHERE)
    test = load_test(given("digits"), NOWHERE)
    assert len(rows(train) | rows(validation) | rows(test)) == 1797  # no two digits are equal
    assert len(train.targets) + len(validation.targets) + len(test.targets) == 1797


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_splits_are_the_same_every_time(name):
    for first, second in zip(
        load_fitting(given(name, 0.2), NOWHERE), load_fitting(given(name, 0.2), NOWHERE), strict=True
    ):
        assert torch.equal(first.inputs, second.inputs)
        assert torch.equal(first.targets, second.targets)
    assert torch.equal(load_test(given(name), NOWHERE).inputs, load_test(given(name), NOWHERE).inputs)


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_the_test_split_holds_every_class_in_proportion(name):
    train, validation = load_fitting(given(name, 0.1), NOWHERE)
    test = load_test(given(name), NOWHERE)
    fitting = torch.cat([train.targets, validation.targets])
    share = [t.bincount() / len(t) for t in (fitting, test.targets)]
    assert float((share[0] - share[1]).abs().max()) < 0.01


def test_the_test_split_does_not_depend_on_the_share_of_validation():
    seen = [rows(part) for share in (0.1, 0.5) for part in load_fitting(given("iris", share), NOWHERE)]
    assert seen[0] | seen[1] == seen[2] | seen[3]
    assert len(seen[3]) > len(seen[1])


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_inputs_are_scaled_to_about_unit_size(name):
    train, _ = load_fitting(given(name, 0.1), NOWHERE)
    assert abs(float(train.inputs.mean())) < 0.3
    assert 0.5 < float(train.inputs.std()) < 1.5


def test_iris_is_scaled_by_feature_with_the_stated_numbers():
    raw = tables.read(Table(name="iris"), NOWHERE, train=False).inputs
    mean, std = tables.SCALES["iris"]
    expected = (raw - np.array(mean)) / np.array(std)
    assert np.allclose(load_test(given("iris"), NOWHERE).inputs.numpy(), expected, atol=1e-6)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(count: int, groups: list[int] | None = None) -> Examples:
    """Example i has input and target i."""
    return Examples(np.arange(count), np.arange(count), None if groups is None else np.array(groups))


@hypothesis.given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.floats(0, 1), st.integers(0, 99))
def test_parts_hold_every_example_once_and_come_no_group_apart(groups, share, seed):
    examples = numbered(len(groups), groups)
    kept, held = cut(examples, share, draw(seed))
    assert sorted([*kept.inputs, *held.inputs]) == list(examples.inputs)
    assert not set(kept.groups) & set(held.groups)
    asked = round(share * len(examples))
    assert asked <= len(held) < asked + np.bincount(examples.groups).max()


@hypothesis.given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_without_groups_the_share_is_exact_and_the_order_random(count, share, seed):
    kept, held = cut(numbered(count), share, draw(seed))
    assert len(held) == round(share * count)
    assert [*kept.inputs, *held.inputs] == torch.randperm(count, generator=draw(seed)).tolist()


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]])
def test_examples_keep_their_targets_and_groups(groups):
    for found in (*cut(numbered(10, groups), 0.4, draw()), choose(numbered(10, groups), 7, "key", draw())):
        assert np.array_equal(found.inputs, found.targets)
        assert groups is None or np.array_equal(found.groups, found.inputs // 2)


def test_a_smaller_choice_is_part_of_a_larger_one():
    small, large = (choose(numbered(100), count, "key", draw()).inputs for count in (10, 60))
    assert set(small) < set(large)
    assert list(small) != list(range(10))
    assert choose(numbered(100), None, "key", draw()).inputs.tolist() == list(range(100))


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_subsets_have_their_sizes_and_come_from_their_own_split(name):
    whole, small = given(name), given(name, train=50, test=20)
    train, validation = load_fitting(small, NOWHERE)
    test = load_test(small, NOWHERE)
    assert [len(part.targets) for part in (train, validation, test)] == [45, 5, 20]
    assert rows(train) | rows(validation) <= set.union(*map(rows, load_fitting(whole, NOWHERE)))
    assert rows(test) <= rows(load_test(whole, NOWHERE))


def test_neither_subset_depends_on_the_other_or_on_validation():
    one, other = given("digits", train=50, test=20), given("digits", validation=0.5, train=50, test=300)
    assert set.union(*map(rows, load_fitting(one, NOWHERE))) == set.union(*map(rows, load_fitting(other, NOWHERE)))
    assert rows(load_test(one, NOWHERE)) < rows(load_test(other, NOWHERE))


@pytest.mark.parametrize(("load", "key", "there"), [(load_fitting, "train", 105), (load_test, "test", 45)])
def test_asking_for_more_than_there_is_is_one_line(load, key, there):
    load(given("iris", **{key: there}), NOWHERE)
    with pytest.raises(UsageError) as caught:
        load(given("iris", **{key: there + 1}), NOWHERE)
    assert f"zoo.dataset.{key}: {there + 1} examples asked for, but there are {there}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_split_without_examples_is_refused():
    with pytest.raises(UsageError, match="leave 4 to fit and 0 for validation"):
        load_fitting(given("iris", train=4), NOWHERE)


def mentions(path: Path, name: str) -> bool:
    """Whether a module uses a name, imports it, or reaches it as an attribute."""
    tree = ast.parse(path.read_text())
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return name in found


def test_only_evaluate_touches_the_test_split():
    users = {p for folder in ("stages", "pipeline") for p in (ROOT / folder).rglob("*.py") if mentions(p, "load_test")}
    allowed = ("stages/datasets/__init__.py", "stages/evaluate.py", "pipeline/library/evaluation.py")
    assert users == {ROOT / file for file in allowed}


@pytest.mark.parametrize(
    "module",
    ["arrays", "examples", "factory", "folder", "hub", "images", "own", "table_file", "tables", "texts", "tokenizer"],
)
def test_raw_data_is_read_within_the_package_alone(module):
    """Whoever reads the files has the test split at hand."""
    outside = {p for folder in ("stages", "pipeline") for p in (ROOT / folder).rglob("*.py")} - set(
        (ROOT / "stages/datasets").rglob("*.py")
    )
    assert len(outside) > 40
    assert not [p for p in outside if f"stages.datasets.{module}" in p.read_text()]


@hypothesis.given(st.sets(st.integers(0, 9), min_size=1), st.integers(0, 99))
def test_examples_of_some_classes_keep_their_order_and_numbers(only: set[int], seed: int):
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), 3))
    found = of_classes(Examples(np.arange(30), targets), only)
    assert found.inputs.tolist() == [i for i in range(30) if targets[i] in only]
    assert found.targets.tolist() == [t for t in targets if t in only]


def test_two_halves_of_the_classes_make_up_the_data():
    halves = [dataset_from({"name": "digits", "only": list(only)}) for only in (range(5), range(5, 10))]
    assert rows(load_test(halves[0], NOWHERE)) | rows(load_test(halves[1], NOWHERE)) == rows(
        load_test(given("digits"), NOWHERE)
    )
    assert set(load_fitting(halves[1], NOWHERE)[0].targets.tolist()) == set(range(5, 10))


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"zoo\.dataset\.only: no example is of class 3"):
        load_fitting(dataset_from({"name": "iris", "only": [0, 3]}), NOWHERE)
