"""Bounds of what a request may ask for: the served folder's configurations, single values, and no function."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import flat_overrides, keyed_overrides
from pipeline.prefect.bounds import check_request
from stages.errors import UsageError


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A served folder that has a configuration, and links out of it; what is outside beside it; the store too."""
    folder, outside = tmp_path / "served", tmp_path / "outside"
    (folder / "conf").mkdir(parents=True)
    outside.mkdir()
    for place in (folder / "conf", outside):
        (place / "mine.yaml").write_text("zoo: {}\n")
    (folder / "link.yaml").symlink_to(outside / "mine.yaml")
    (folder / "conf" / "out").symlink_to(outside)
    (folder / "circle").symlink_to("circle")
    monkeypatch.chdir(folder)
    return folder


def check(config: str = "smoke", overrides: dict[str, Any] | None = None, **folders: str | None) -> None:
    check_request(config, overrides or {}, folders, Path("../store"))


@pytest.mark.parametrize("config", ["smoke", "public/model_j", "conf/mine.yaml", "conf/mine", "./conf/../conf/mine"])
def test_configurations_are_built_in_or_lie_below_the_served_folder(served: Path, config: str) -> None:
    check(config)
    check(str(served / "conf" / "mine.yaml"))


@pytest.mark.parametrize("config", ["../outside/mine.yaml", "../outside/mine", "link.yaml", "link", "conf/out/mine"])
def test_no_other_configuration_is_read(served: Path, config: str) -> None:
    with pytest.raises(UsageError, match=rf"^{config}: outside of {served}, .*copy the file there$"):
        check(config)
    with pytest.raises(UsageError, match=r"outside of"):
        check(str(served.parent / "outside" / "mine.yaml"))


ALLOWED = [
    500,
    0.5,
    True,
    None,
    "adam",
    "mnist",
    "timm:resnet18",
    "torchvision:resnet18",
    "runs/*.pt",
    "a/../b",
    "cuda:0",
]


@pytest.mark.parametrize("value", ALLOWED)
def test_single_values_may_be_set(served: Path, value: Any) -> None:
    check("conf/mine", {"fit.steps": value, "zoo.network.widths-2": value})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"kind": "model", "model": "os:system", "kwargs": {"command": "touch X"}}, "is a dict"),
        ([1, 2], "is a list"),
        ([], "is a list"),
        ("os:system", "names a function"),
        ("my_project:make", "names a function"),
        ("timm.models:create_model", "names a function"),
        ("/etc/passwd", "leads out"),
        ("../../outside", "leads out"),
        ("out/x.pt", "leads out"),
        ("~/x.pt", "leads out"),
        ("~nobody_of_that_name/x", "leads out"),
        ("a\0b", "leads out"),
    ],
)
def test_no_other_value_is(served: Path, value: Any, why: str) -> None:
    with pytest.raises(UsageError, match=rf"^overrides: 'zoo\.network' {why}[^\n]*served {served}$"):
        check("conf/mine", {"fit.steps": 5, "zoo.network": value})


@pytest.mark.parametrize(
    "key", ["zoo.network={kind: model, model: 'os:system'}#", "zoo.network=", "a b", "", "fit.steps\n", "a={b: 1}"]
)
def test_no_key_smuggles_a_value(served: Path, key: str) -> None:
    with pytest.raises(UsageError, match=r"^overrides: .* is no key; [^\n]*$"):
        check("conf/mine", {key: 1})


@given(key=st.from_regex(r"\A[\w.-]+\Z"), value=st.none() | st.booleans() | st.integers() | st.text())
def test_what_passes_is_read_back_as_the_same_single_value(key: str, value: Any) -> None:
    assert keyed_overrides(flat_overrides({key: value})) == {key: value}


@pytest.mark.parametrize("name", ["store", "data_root"])
def test_folders_are_within_the_served_one_or_the_served_store(served: Path, name: str) -> None:
    for folder in (None, "data", str(served / "data"), str(served.parent / "store"), "../store"):
        check(**{name: folder})
    for folder in ("..", "/", "../outside", "conf/out", "~", "circle/x\0"):
        with pytest.raises(UsageError, match=rf"^{name} .*: outside of {served}, .*name a folder in there$"):
            check(**{name: folder})
