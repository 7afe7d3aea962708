"""Names that stand for artifacts, in a store of two experiments that share some."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smoke import Done

from pipeline.artifact_names import LEAST_DIGITS, experiments, keys, resolve
from stages.errors import DwfError, UsageError
from stages.store.artifact import FOLDERS, note_latest


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Folders of artifacts alone, which is all that names are about."""
    for stage, experiment, key in (
        ("zoo", "first", "aaaa111122223333"),
        ("zoo", "second", "aaab111122223333"),
        ("fit", "second", "beef111122223333"),
        ("sample", "second", "feed111122223333"),
    ):
        (tmp_path / FOLDERS[stage] / key).mkdir(parents=True)
        note_latest(tmp_path, stage, experiment, key)
    (tmp_path / FOLDERS["fit"] / "dead111122223333.partial").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("zoo", "1_zoo/aaab111122223333"),
        ("first:zoo", "1_zoo/aaaa111122223333"),
        ("aaaa", "1_zoo/aaaa111122223333"),
        ("beef1111", "4_fitted/beef111122223333"),
        ("first", "1_zoo/aaaa111122223333"),
        ("second", "5_sampled/feed111122223333"),
    ],
)
def test_a_name_stands_for_an_artifact(two: Path, name: str, found: str):
    assert resolve(name, two) == two / found


def test_latest_is_among_what_the_command_wants(two: Path):
    assert resolve("latest", two, ("zoo",)).parent.name == "1_zoo"
    assert resolve("second", two, ("zoo", "fit")).parent.name == "4_fitted"


def test_a_path_is_taken_as_it_is(two: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(two / "1_zoo")
    assert resolve("aaaa111122223333", two) == two / "1_zoo" / "aaaa111122223333"
    assert resolve(str(two), two / "elsewhere") == two


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aaa", "neither a path"),  # three digits, and no experiment
        ("aaaf", "neither a path"),
        ("dead", "neither a path"),  # half done
        ("secnd", "did you mean 'second'"),
        ("zo", "did you mean 'zoo'"),
        ("second:fitt", "did you mean 'fit'"),
    ],
)
def test_a_wrong_name_is_a_usage_error_with_the_nearest(two: Path, name: str, says: str):
    with pytest.raises(UsageError, match=says):
        resolve(name, two)


def test_the_beginning_of_two_keys_names_both(two: Path):
    (two / FOLDERS["pack"] / "aaaa999922223333").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"beginning of 2 keys \(zoo aaaa111122223333, pack aaaa999922223333\)"):
        resolve("aaaa", two)
    assert resolve("aaaa9", two).parent.name == "3_packed"


@pytest.mark.parametrize(
    ("name", "says"), [("pack", "dwf stage pack"), ("first:fit", "first: no fit"), ("latest", "dwf stage report")]
)
def test_what_was_never_made_says_how_to_make_it(two: Path, name: str, says: str):
    with pytest.raises(DwfError, match=says) as error:
        resolve(name, two, ("report",))
    assert error.value.exit_code == 1


@given(st.integers(LEAST_DIGITS, 16))
def test_any_beginning_of_a_key_that_no_other_has_is_enough(finished: tuple[Path, Done], digits: int):
    for stage, (ref, _) in finished[1].items():
        others = [key for _, key in keys(finished[0]) if key != ref.key]
        if not any(key.startswith(ref.key[:digits]) for key in others):
            assert resolve(ref.key[:digits], finished[0]) == ref.path, stage


def test_experiments_are_known_by_their_listings(two: Path):
    assert experiments(two) == ["first", "second"]
    assert experiments(two / "nowhere") == []
