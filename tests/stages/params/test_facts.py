"""Facts in the names of files, and the names of facts."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.errors import Damaged, UsageError
from stages.params.facts import column_name, name_pattern, number, read_table, text


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        (
            "mnist_png_{split}_{label}_{index}",
            "a/mnist_png_training_7_1042/checkpoints/model_final.pth",
            {"split": "training", "label": "7", "index": "1042"},
        ),
        ("{run}_{epoch}_{acc}.pt", "x/my_run_75_0.95.pt", {"run": "my_run", "epoch": "75", "acc": "0.95"}),
        ("{label}s/net{index}.pth", "wts/5s/net12.pth", {"label": "5", "index": "12"}),
        (r"_(?P<label>\d)s/net(?P<index>\d+)", "wts/train_5s/net12.pth", {"label": "5", "index": "12"}),
        ("{run}/last.pt", "a/b/last.pt", {"run": "b"}),
    ],
)
def test_fields_of_a_pattern_are_found_in_a_path(pattern, path, fields):
    match = name_pattern(pattern).search(path)
    assert match is not None
    assert match.groupdict() == fields


@pytest.mark.parametrize(("pattern", "path"), [("run{a}", "myrun3/x"), ("net{i}.pt", "net3.pth"), ("a.{i}", "ab3")])
def test_a_pattern_matches_whole_parts_and_literally(pattern, path):
    assert name_pattern(pattern).search(path) is None


@pytest.mark.parametrize(
    ("pattern", "said"), [("run", "has no field"), ("{a}_{a}", "isn't readable"), ("(?P<a>", "isn't readable")]
)
def test_a_pattern_without_fields_or_that_is_broken_is_refused(pattern, said):
    with pytest.raises(ValueError, match=said):
        name_pattern(pattern)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("model::o_dim", "model.o_dim"),
        ("config.learning_rate", "config.learning_rate"),
        ("lr / rate (peak)", "lr.rate.peak"),
        ("train_loss", "reported_train_loss"),
        ("split", "reported_split"),
        ("split_2", "split_2"),
    ],
)
def test_names_are_plain_and_never_those_of_the_store_s_own_columns(name, column):
    assert column_name(name) == column


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_python_writes_them(value):
    assert number(repr(value)) == value


@pytest.mark.parametrize("value", ["1_000", "0x10", "nan", "inf", "1e", "", "three", "1 2", "1.2.3"])
def test_other_texts_are_no_numbers(value):
    assert number(value) is None


def test_whole_numbers_have_no_point_as_text():
    assert [text(3.0), text(0.1), text(1e-5), text("3.0")] == ["3", "0.1", "1e-05", "3.0"]


def test_tables_are_read_zipped_or_not(tmp_path):
    (tmp_path / "a.csv").write_text('a::b,c\n1,"x, y"\n')
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    for name in ("a.csv", "a.csv.gz"):
        assert list(read_table(tmp_path / name)) == [["a.b", "c"], ["1", "x, y"]]


def test_what_is_no_whole_table_is_named(tmp_path):
    (tmp_path / "short.csv").write_text("a,b\n1\n")
    (tmp_path / "twice.csv").write_text("a.b,a::b\n")
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 1000)[:20])
    with pytest.raises(Damaged, match=r"short\.csv: line 2 has 1 values, expected 2"):
        list(read_table(tmp_path / "short.csv"))
    with pytest.raises(UsageError, match=r"twice\.csv: two columns are named 'a\.b'"):
        list(read_table(tmp_path / "twice.csv"))
    with pytest.raises(Damaged, match=r"torn\.csv\.gz: not a whole table"):
        list(read_table(tmp_path / "torn.csv.gz"))
