"""What a sweep varies: axes, files, their product, and what makes no sense before anything runs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smoke import PROJECT, SMOKE

from pipeline.config import flat_overrides
from pipeline.sweep.points import points_of
from pipeline.sweep.spec import parse_axis, read_sweep, short_names
from stages.errors import UsageError

SWEEPS = sorted((PROJECT / "conf" / "sweeps").glob("*.yaml"))


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "some.yaml").write_text(text)
    return tmp_path / "some.yaml"


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("canonicalize.method=none,rebasin", "canonicalize.method", ["none", "rebasin"]),
        ("fit.seed=0,1,2", "fit.seed", [0, 1, 2]),
        ("zoo.network.widths=[4, 8, 3],[4,16,3]", "zoo.network.widths", [[4, 8, 3], [4, 16, 3]]),
        (
            "fit.space={kind: raw},{kind: pca, components: 3}",
            "fit.space",
            [{"kind": "raw"}, {"kind": "pca", "components": 3}],
        ),
        ("fit.space.components=3,null", "fit.space.components", [3, None]),
        ("fit.checkpoint='a,b',c", "fit.checkpoint", ["a,b", "c"]),
    ],
)
def test_an_axis_is_a_key_and_yaml_values(text: str, key: str, values: list[object]):
    assert parse_axis(text) == (key, values)


@given(st.lists(st.one_of(st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3)), min_size=1))
def test_values_come_back_as_they_were_written(values: list[object]):
    text = ",".join(
        override.partition("=")[2] for override in flat_overrides({str(i): v for i, v in enumerate(values)})
    )
    assert parse_axis(f"key={text}")[1] == values


@pytest.mark.parametrize(
    "text", ["fit.seed", "=1,2", "fit.seed=", "fit.seed=1,,2", "fit.seed=[1,2", "fit.seed=1] + [2"]
)
def test_what_is_no_axis_says_what_is_expected(text: str):
    with pytest.raises(UsageError, match=r"--grid .*(expected|e\.g\.)"):
        parse_axis(text)


def test_points_are_the_product_in_the_order_given():
    sweep = read_sweep(SMOKE, ["fit.seed=0,1", "sample.seed=5,6"])
    assert sweep.varied == ("fit.seed", "sample.seed")
    assert [tuple(point.values()) for point in sweep.points] == [(0, 5), (0, 6), (1, 5), (1, 6)]


FILE = """
base: smoke
set: {fit.steps: 20}
grid: {fit.seed: [0, 1]}
points:
  - {sample.method: euler, sample.steps: 4}
  - {sample.steps: 2, sample.method: heun}
"""


def test_a_file_holds_a_base_what_is_shared_a_grid_and_rows(tmp_path: Path):
    points = points_of(read_sweep(written(tmp_path, FILE)), ["fit.batch=4"], tmp_path)
    found = [(p.experiment.sample.method, p.experiment.sample.steps, p.experiment.fit.seed) for p in points]
    assert found == [("euler", 4, 0), ("euler", 4, 1), ("heun", 2, 0), ("heun", 2, 1)]
    assert {(p.experiment.fit.steps, p.experiment.fit.batch) for p in points} == {(20, 4)}


def test_axes_are_laid_over_a_file(tmp_path: Path):
    sweep = read_sweep(written(tmp_path, FILE), ["fit.seed=7", "zoo.seed=1,2"])
    assert len(sweep.points) == 4
    assert {point["fit.seed"] for point in sweep.points} == {7}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("base: smoke", "nothing varies"),
        ("base: smoke\ngrdi: {}", "grdi: .*a sweep has base, about, set, grid, points"),
        ("base: smoke\ngrid: {fit.seed: 3}", "grid.fit.seed: .*valid list"),
        ("base: smoke\ngrid: {fit.seed: []}", "fit.seed: expected different values"),
        ("base: smoke\ngrid: {fit.seed: [1, 1]}", "fit.seed: expected different values"),
        ("base: smoke\ngrid: {fit.seed: [1]}\npoints: [{fit.seed: 2}]", "by the grid and by the points"),
        ("base: smoke\npoints: [{fit.seed: 2}, {fit.steps: 2}]", "expected fit.seed in each"),
    ],
)
def test_a_file_that_makes_no_sense_says_where(tmp_path: Path, text: str, says: str):
    with pytest.raises(UsageError, match=says):
        read_sweep(written(tmp_path, text))


def test_an_axis_given_twice_is_an_error():
    with pytest.raises(UsageError, match="given twice"):
        read_sweep(SMOKE, ["fit.seed=0", "fit.seed=1"])


def test_every_wrong_value_is_named_once_before_anything_runs(tmp_path: Path):
    with pytest.raises(UsageError) as error:
        points_of(read_sweep(SMOKE, ["fit.stesp=5,6", "sample.networks=-1,3"]), (), tmp_path)
    lines = str(error.value).splitlines()
    assert sum("did you mean 'steps'" in line for line in lines) == 2, "one for each of its values"
    assert sum("sample.networks" in line for line in lines) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("axis", ["threads=1,2", "name=a,b"])
def test_what_never_changes_a_result_is_not_swept(tmp_path: Path, axis: str):
    with pytest.raises(UsageError, match="are the same experiment"):
        points_of(read_sweep(SMOKE, [axis]), (), tmp_path)


def test_points_that_agree_share_keys_up_to_where_they_part(tmp_path: Path):
    one, two = points_of(read_sweep(SMOKE, ["fit.seed=0,1"]), (), tmp_path)
    same = {stage for stage in one.steps if one.steps[stage].key == two.steps[stage].key}
    assert same == {"zoo", "canonicalize", "pack"}


def test_a_result_is_called_by_what_it_depends_on(tmp_path: Path):
    sweep = read_sweep(SMOKE, ["canonicalize.method=none,rebasin", "zoo.network.widths=[4,8,3]", "sample.seed=0,1"])
    point = points_of(sweep, (), tmp_path)[3]
    assert point.named("zoo", 1).name == "smoke.widths--4-8-3-"
    assert point.named("sample", 1).name == "smoke.method-rebasin.widths--4-8-3-.seed-1"


def test_keys_are_shortened_as_far_as_they_stay_different():
    names = short_names(["fit.seed", "sample.seed", "fit.velocity.hidden"])
    assert names == {"fit.seed": "fit.seed", "sample.seed": "sample.seed", "fit.velocity.hidden": "hidden"}


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_shipped_sweep_is_sound_and_says_what_it_is_for(file: Path, tmp_path: Path):
    sweep = read_sweep(file)
    assert len(points_of(sweep, (), tmp_path)) > 2
    assert sweep.about
    assert file.read_text().startswith("# ")
