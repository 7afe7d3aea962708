"""Several generators beside one zoo: what they share is made once, and each has its own verdict on one page."""

from pathlib import Path

import pytest
from other_generators import save_networks
from smoke import SMOKE, Done, Dwf

from pipeline.sweep.generators import generator_points, parse_generator
from stages.artifacts.members import open_zoo
from stages.errors import UsageError


@pytest.fixture(scope="module")
def patterns(finished: tuple[Path, Done], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Members and held-out members of the smoke configuration's zoo, in files."""
    zoo, folder = open_zoo(finished[1]["zoo"][0]), tmp_path_factory.mktemp("theirs")
    rows = {"copies": zoo.rows(0, 5), "seen": zoo.rows(12, 16)}
    return {name: save_networks(folder / name, zoo, those) for name, those in rows.items()}


def test_generators_share_all_that_comes_before_them(finished: tuple[Path, Done], patterns: dict[str, str]):
    texts = [f"{name}={files}" for name, files in patterns.items()]
    points = generator_points(SMOKE, texts, ["sample.steps=6"], finished[0])
    assert [point.label for point in points] == ["generator flow", "generator copies", "generator seen"]
    assert [list(point.steps) for point in points[1:]] == [
        ["zoo", "canonicalize", "pack", "sample", "evaluate", "report"]
    ] * 2
    shared = {stage: len({point.steps[stage].key for point in points}) for stage in points[1].steps}
    assert shared == {"zoo": 1, "canonicalize": 1, "pack": 1, "sample": 3, "evaluate": 3, "report": 3}
    assert len(generator_points(SMOKE, texts, (), finished[0], ours=False)) == 2


def test_they_are_on_one_page_with_a_verdict_each(dwf: Dwf, store: Path, patterns: dict[str, str]):
    texts = [f"{name}={files}" for name, files in patterns.items()]
    code, out, err = dwf("compare", SMOKE, *texts, "--store", store, "--jobs", 1)
    assert (code, err) == (0, "")
    verdicts = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith(("copies", "seen"))}
    assert verdicts["copies"][1] == "no"
    assert "can't be said" in next(line for line in reversed(out.splitlines()) if line.startswith("seen"))
    (page,) = store.glob("8_sweeps/*/report.html")
    text = page.read_text().replace("&#39;", "'")
    for words in ("5 are members", "4 are held-out members", "no comparison with them means anything", "best baseline"):
        assert words in text
    for name in ("flow", "copies", "seen"):
        assert text.count(f">{name}</a>") == 1
    for link in {part.split('"')[0] for part in text.split('<a href="')[1:]}:
        assert (page.parent / link).is_file(), link
    assert dwf("compare", SMOKE, *texts, "--store", store, "--jobs", 1)[1].count("there already") == 1


@pytest.mark.parametrize("text", ["theirs/*.pt", "=a", "members=a/*.pt", "a b=c", "a={files: ["])
def test_a_generator_needs_a_name_of_its_own_and_files(text: str):
    with pytest.raises(UsageError, match="compare"):
        parse_generator(text)


def test_a_generator_may_say_how_its_files_are_read():
    name, section = parse_generator("a={files: /x/*.pt, key: netG}")
    assert (name, section) == ("a", {"source": "checkpoints", "files": "/x/*.pt", "key": "netG"})


def test_one_generator_alone_is_nothing_to_compare(patterns: dict[str, str]):
    with pytest.raises(UsageError, match="two generators or more"):
        generator_points(SMOKE, [f"a={patterns['copies']}"], ours=False)
    with pytest.raises(UsageError, match="a is named twice"):
        generator_points(SMOKE, [f"a={patterns['copies']}", f"a={patterns['seen']}"])
