"""A user's own data of every kind: what is read, how it is cut and encoded, and what is said of data that are wrong."""

import itertools
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.extra.numpy as npst
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

from stages.datasets import check_test, describe_inputs, learned, load_fitting, load_test
from stages.datasets.own import comparable
from stages.errors import DataMissing, DwfError, UsageError
from stages.params.dataset import Dataset, dataset_from

X = np.arange(120, dtype=np.float64).reshape(40, 3) ** 1.5
Y = np.arange(40) % 2
NUMBER = itertools.count()


def own(**values: Any) -> Dataset:
    return dataset_from({key: str(value) if isinstance(value, Path) else value for key, value in values.items()})


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(path := folder / f"a{next(NUMBER)}.npz", **arrays)
    return path


def csv(folder: Path, table: dict[str, Any]) -> Path:
    pd.DataFrame(table).to_csv(path := folder / f"t{next(NUMBER)}.csv", index=False)
    return path


def images(folder: Path, *shapes: tuple[int, ...], classes: str = "ab") -> Path:
    """As many images of each class as there are shapes."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i, shape in enumerate(shapes):
            pixels = np.random.default_rng([i, ord(name)]).integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def arrays(dataset: Dataset, root: Path) -> list[np.ndarray]:
    train, validation = load_fitting(dataset, root)
    return [part.inputs.numpy() for part in (train, validation, load_test(dataset, root))]


def targets(dataset: Dataset, root: Path) -> list[list[int]]:
    train, validation = load_fitting(dataset, root)
    return [part.targets.tolist() for part in (train, validation, load_test(dataset, root))]


@pytest.fixture(params=["arrays", "pair", "csv", "parquet", "hub", "factory"])
def same(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """X and Y in files of each kind, under one name, with no test split of their own."""
    table = pd.DataFrame(X, columns=list("abc")).assign(kind=Y)
    common = {"name": "same", "normalize": "none"}
    match request.param:
        case "arrays":
            return own(kind="arrays", train=npz(tmp_path, x=X, y=Y), **common)
        case "pair":
            files = [str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
            np.save(files[0], X)
            np.save(files[1], Y)
            return own(kind="arrays", train=files, **common)
        case "csv":
            return own(kind="csv", train=csv(tmp_path, table.to_dict("list")), target="kind", **common)
        case "parquet":
            table.to_parquet(path := tmp_path / "t.parquet")
            return own(kind="parquet", train=path, target="kind", **common)
        case "hub":
            import datasets

            datasets.disable_progress_bars()
            datasets.Dataset.from_dict({"x": X, "label": Y}).save_to_disk(str(tmp_path / "saved"))
            return own(kind="hub", path=tmp_path / "saved", test=None, **common)
    (tmp_path / "made_here.py").write_text(
        "import torch\ndef make(x, y): return (torch.tensor(x), y), (x[:5], y[:5])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return own(kind="factory", make="made_here:make", kwargs={"x": X.tolist(), "y": Y.tolist()}, **common)


def test_every_kind_gives_the_same_examples(same: Dataset, tmp_path: Path):
    train, validation, test = arrays(same, tmp_path)
    if same.kind == "factory":
        assert [len(train), len(validation)] == [36, 4]
        assert np.array_equal(test, X[:5].astype(np.float32))
        return
    assert [len(train), len(validation), len(test)] == [29, 3, 8]
    rows = np.concatenate([train, validation, test])
    assert np.array_equal(rows[rows[:, 0].argsort()], X.astype(np.float32))
    reference = own(kind="arrays", name="same", normalize="none", train=npz(tmp_path, x=X, y=Y))
    assert all(map(np.array_equal, arrays(same, tmp_path), arrays(reference, tmp_path)))
    assert sorted(targets(same, tmp_path)[2]) == [0] * 4 + [1] * 4  # stratified


def test_what_is_learned_is_written_down_and_changes_nothing(tmp_path: Path):
    dataset = own(kind="arrays", train=npz(tmp_path, x=X, y=np.array(["no", "yes"])[Y]))
    description = learned(dataset, tmp_path)
    again = dataset_from(description.model_dump(mode="json"))
    assert all(map(np.array_equal, arrays(dataset, tmp_path), arrays(again, tmp_path)))
    assert (again.class_names, again.task, again.input_type) == (("no", "yes"), "classification", "numbers")
    train = arrays(dataset, tmp_path)[0]
    assert np.allclose(train.mean(0), 0, atol=1e-6)
    assert np.allclose(train.std(0), 1, atol=1e-6)
    raw = train * np.array(again.normalize.std) + np.array(again.normalize.mean)
    assert set(raw[:, 0].round(2)) <= set(X[:, 0].round(2))
    assert describe_inputs(again).startswith("(x - [")
    assert "training examples" in describe_inputs(dataset)


def test_normalization_is_fitted_to_examples_that_fit_members_alone(tmp_path: Path):
    dataset = own(kind="arrays", train=npz(tmp_path, x=X, y=Y), test=npz(tmp_path, x=X + 1e6, y=Y))
    assert np.allclose(arrays(dataset, tmp_path)[0].mean(0), 0, atol=1e-5)
    own_validation = own(kind="arrays", train=npz(tmp_path, x=X, y=Y), validation=npz(tmp_path, x=X + 1e6, y=Y))
    assert np.allclose(arrays(own_validation, tmp_path)[0].mean(0), 0, atol=1e-5)


@hypothesis.given(npst.arrays(np.float64, (7, 3), elements=st.floats(-1e3, 1e3)))
def test_a_fitted_normalization_is_numpys(values: np.ndarray):
    from stages.datasets.own_inputs import _mean_and_std

    mean, std = _mean_and_std(values)
    assert np.allclose(mean, values.mean(0))
    assert np.allclose(std, values.std(0), atol=1e-6)


def test_a_validation_split_of_its_own_is_used_whole(tmp_path: Path):
    files = {
        "train": npz(tmp_path, x=X, y=Y),
        "test": npz(tmp_path, x=X[:4] + 1, y=Y[:4]),
        "validation": npz(tmp_path, x=X[:6] + 2, y=Y[:6]),
    }
    dataset = own(kind="arrays", normalize="none", **files)
    train, validation, test = arrays(dataset, tmp_path)
    assert [len(train), len(validation), len(test)] == [40, 6, 4]
    assert np.array_equal(validation, (X[:6] + 2).astype(np.float32))


def test_one_file_can_hold_both_splits_or_say_which_rows_are_test_examples(tmp_path: Path):
    both = npz(tmp_path, x_train=X[8:], y_train=Y[8:], test_x=X[:8], test_y=Y[:8])
    index = npz(tmp_path, x=X, y=Y, rows=np.arange(8))
    for dataset in (
        own(kind="arrays", train=both, test=both, normalize="none"),
        own(kind="arrays", train=index, test_index="rows", normalize="none"),
    ):
        train, validation, test = arrays(dataset, tmp_path)
        assert np.array_equal(test, X[:8].astype(np.float32))
        assert len(train) + len(validation) == 32


@pytest.mark.parametrize(
    ("labels", "names"),
    [([3, 5], ("3", "5")), ([-1, 1], ("-1", "1")), (["b", "a"], ("a", "b")), ([0, 1], ("0", "1"))],
)
def test_labels_are_numbered_in_sorted_order(tmp_path: Path, labels: list[Any], names: tuple[str, ...]):
    dataset = own(kind="arrays", train=npz(tmp_path, x=X, y=np.array(labels)[Y]), normalize="none")
    assert learned(dataset, tmp_path).class_names == names
    train, _ = load_fitting(dataset, tmp_path)
    number = {row: names.index(str(np.array(labels)[y])) for row, y in zip(X[:, 0].astype(np.float32), Y, strict=True)}
    assert [number[row] for row in train.inputs[:, 0].numpy()] == train.targets.tolist()
    assert train.targets.dtype == torch.int64


def test_given_names_fix_the_order_and_only_keeps_numbers(tmp_path: Path):
    path = npz(tmp_path, x=X, y=np.array(["c", "a", "b"])[np.arange(40) % 3])
    assert set(targets(own(kind="arrays", train=path, class_names=["c", "a", "b"], only=["b"]), tmp_path)[0]) == {2}
    assert set(targets(own(kind="arrays", train=path, only=["b", "c"]), tmp_path)[0]) == {1, 2}


def test_fractions_are_a_regression(tmp_path: Path):
    train, _ = load_fitting(own(kind="arrays", train=npz(tmp_path, x=X, y=X[:, :1])), tmp_path)
    assert train.targets.dtype == torch.float32
    asked = own(kind="arrays", train=npz(tmp_path, x=X, y=Y), task="regression")
    assert load_fitting(asked, tmp_path)[0].targets.dtype == torch.float32


def test_images_are_read_by_folder_scaled_and_cropped(tmp_path: Path):
    train, test = images(tmp_path / "train", *[(10, 14, 3)] * 20), images(tmp_path / "test", (10, 14, 3))
    plain = own(kind="folder", train=train, test=test, normalize="none")
    assert plain.name == tmp_path.name.replace("[", "-").replace("]", "-")
    first = arrays(plain, tmp_path)[2]
    assert first.shape == (2, 3, 10, 14)
    stored = np.array(Image.open(test / "a" / "0.png")).transpose(2, 0, 1) / np.float32(255)
    assert np.allclose(first[0], stored)
    small = learned(own(kind="folder", train=train, test=test, size=8, channels=1), tmp_path)
    assert arrays(small, tmp_path)[0].shape == (36, 1, 8, 8)
    assert describe_inputs(small).endswith("images of 8 x 8 pixels")
    assert small.class_names == ("a", "b")


def test_bytes_of_images_are_pixels_in_arrays(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 6, 6), dtype=np.uint8)
    for shaped in (pixels, pixels[..., None]):
        dataset = own(kind="arrays", train=npz(tmp_path, images=shaped, labels=Y), channels=3, normalize="none")
        train = arrays(dataset, tmp_path)[0]
        assert train.shape == (29, 3, 6, 6)
        assert 0 <= train.min() < 0.1 < 0.9 < train.max() <= 1
    numbers = own(kind="arrays", train=npz(tmp_path, x=pixels, y=Y), input_type="numbers", normalize="none")
    assert arrays(numbers, tmp_path)[0].shape == (29, 6, 6)


def test_texts_become_tokens(tmp_path: Path):
    path = csv(tmp_path, {"say": ["good film", "bad film"] * 20, "label": ["up", "down"] * 20})
    dataset = own(kind="csv", train=path, target="label", text="say", length=6, vocabulary=40)
    train, _ = load_fitting(dataset, tmp_path)
    assert train.inputs.shape == (29, 6)
    assert train.inputs.dtype == torch.int64
    assert learned(dataset, tmp_path).input_type == "texts"


def test_test_examples_among_the_training_examples_are_counted(tmp_path: Path):
    test = np.concatenate([X[:3], X[:5] + 0.5])
    dataset = own(kind="arrays", train=npz(tmp_path, x=X, y=Y), test=npz(tmp_path, x=test, y=Y[:8]))
    assert check_test(dataset, tmp_path) == 3
    assert check_test(own(kind="arrays", train=npz(tmp_path, x=X, y=Y)), tmp_path) == 0


@hypothesis.given(npst.arrays(np.float64, (4, 2), elements=st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12])))
def test_examples_are_equal_if_a_network_is_given_equal_numbers(values: np.ndarray):
    same = list(comparable(values))
    given = [tuple(row) for row in values.astype(np.float32)]
    assert [[a == b for b in same] for a in same] == [[a == b for b in given] for a in given]


def test_files_that_changed_or_have_gone_are_not_evaluated_on(tmp_path: Path):
    description = learned(own(kind="arrays", train=(path := npz(tmp_path, x=X, y=Y))), tmp_path)
    moved = path.rename(tmp_path / "moved.npz")
    with pytest.raises(DataMissing, match="is gone; put it back"):
        load_test(description, tmp_path)
    learned(own(kind="arrays", train=moved), tmp_path)  # whoever uses it anew says where it is
    assert len(load_test(description, tmp_path).targets) == 8
    np.savez(path, x=X, y=1 - Y)
    np.savez(moved, x=X + 1, y=Y)
    with pytest.raises(DataMissing, match="has changed since"):
        load_test(description, tmp_path)


def cases(folder: Path) -> dict[str, tuple[dict[str, Any], str]]:
    """Data that are wrong, with what is said of them."""
    bad = X.copy()
    bad[7, 1] = np.nan
    table = {"a": list(range(40)), "city": ["x", "y"] * 20, "gap": [None, *range(39)], "kind": Y.tolist()}
    pickled = folder / "pickled.npz"
    np.savez(pickled, x=np.array([{}] * 40, dtype=object), y=Y)
    (folder / "torn.npz").write_bytes(pickled.read_bytes()[:99])
    ragged, torn = images(folder / "ragged", (8, 8), (9, 8)), images(folder / "torn", (8, 8))
    (torn / "a" / "0.png").write_bytes(b"no image")
    file = csv(folder, table)
    with_csv = {"kind": "csv", "train": file}
    return {
        "lengths": ({"train": npz(folder, x=X, y=Y[:9])}, "40 inputs, but 9 targets"),
        "one-hot": ({"train": npz(folder, x=X, y=np.eye(40))}, r"targets have shape \[40, 40\]"),
        "nan": ({"train": npz(folder, x=bad, y=Y)}, "1 have NaN or infinite inputs, first that of row 7"),
        "nan target": ({"train": npz(folder, x=X, y=bad[:, 1])}, "targets of .* are missing, NaN or infinite"),
        "none": ({"train": npz(folder, x=X[:0], y=Y[:0])}, "there are none"),
        "one class": ({"train": npz(folder, x=X, y=Y * 0)}, "are of one class, '0'"),
        "rare": ({"train": npz(folder, x=X, y=np.arange(40) // 39)}, "can't be cut in two parts"),
        "new in test": (
            {"train": npz(folder, x=X, y=Y), "test": npz(folder, x=X + 1, y=Y + 1)},
            "test examples of .* have the label '2', which isn't among the training examples",
        ),
        "shapes": (
            {"train": npz(folder, x=X, y=Y), "test": npz(folder, x=X[:, :2], y=Y)},
            r"\[2\], training inputs \[3\]",
        ),
        "amounts": ({"train": npz(folder, x=X, y=np.arange(40.0) % 5)}, "classes or amounts"),
        "no name": ({"train": npz(folder, a=X, b=Y)}, "no inputs by a usual name.*there are a, b"),
        "wrong name": ({"train": npz(folder, a=X, b=Y), "inputs": "aa"}, "did you mean 'a'"),
        "objects": ({"train": pickled}, "Python objects, which are never unpickled"),
        "cut off": ({"train": folder / "torn.npz"}, "not a whole file of numpy's"),
        "no file": ({"train": folder / "nowhere.npz"}, "zoo.dataset.train: .*no such file or folder"),
        "column": ({**with_csv, "target": "kin"}, "has no column 'kin'; did you mean 'kind'"),
        "words": ({**with_csv, "target": "kind", "drop": ["gap"]}, "column 'city' holds 'x', expected numbers"),
        "gaps": ({**with_csv, "target": "kind", "drop": ["city"]}, "column 'gap' has 1 missing values"),
        "ragged": ({"kind": "folder", "train": ragged}, "0.png is 8 x 8 pixels, a/1.png is 8 x 9.; set size"),
        "torn image": ({"kind": "folder", "train": torn}, "a/0.png: not readable as an image"),
        "no such class": ({"train": npz(folder, x=X, y=Y), "only": [7]}, "has no class '7'; it has 0, 1"),
        "no function": ({"kind": "factory", "make": "nowhere:make"}, "no module 'nowhere' can be imported"),
        "values": ({"train": npz(folder, x=X, y=Y), "normalize": {"mean": [1, 2], "std": 1}}, "mean has 2 values, but"),
    }


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], str]]:
    return cases(tmp_path_factory.mktemp("wrong"))


NAMES = (
    *("lengths", "one-hot", "nan", "nan target", "none", "one class", "rare", "new in test", "shapes", "amounts"),
    *("no name", "wrong name", "objects", "cut off", "no file", "column", "words", "gaps", "ragged", "torn image"),
    *("no such class", "no function", "values"),
)


def test_the_cases_are_listed(wrong: dict[str, tuple[dict[str, Any], str]]):
    assert set(NAMES) == set(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_data_are_one_clear_line(wrong: dict[str, tuple[dict[str, Any], str]], tmp_path: Path, name: str):
    values, expected = wrong[name]
    dataset = own(**{"kind": "arrays", **values})
    with pytest.raises(DwfError, match=expected) as caught:  # noqa: PT012 - some show only in the test data
        load_fitting(dataset, tmp_path)
        check_test(dataset, tmp_path)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError | DataMissing)


def test_a_class_that_only_validation_has_is_named(tmp_path: Path):
    labels = np.where(np.arange(40) < 20, 0, 1)
    training = npz(tmp_path, x=X[:20], y=labels[:20])
    both = own(kind="arrays", train=training, test=npz(tmp_path, x=X, y=labels), class_names=["0", "1"])
    with pytest.raises(UsageError, match="to train on is of the class '1'"):
        load_fitting(both, tmp_path)
