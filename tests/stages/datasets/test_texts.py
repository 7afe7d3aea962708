"""Rated texts: reviews stay whole, and what is learned from texts is learned from the training texts."""

import hashlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from stages.datasets import load_fitting, load_test, texts
from stages.datasets.tokenizer import SPECIAL, Tokenizer
from stages.errors import DataMissing
from stages.params.dataset import Texts

WORDS = [
    "good",
    "bad",
    "fine",
    "awful",
    "phone",
    "camera",
    "battery",
    "film",
    "actor",
    "story",
    "never",
    "always",
    "plays",
    "works",
]


def snippet(i: int) -> str:
    return " ".join(WORDS[(i * k + k) % len(WORDS)] for k in range(1, 6)) + f" w{i}."


def write_reviews(root: Path, products: int = 20, sentences: int = 5, films: int = 100) -> None:
    """Every text tells its review: sentence `s` of product `p` says p{p}, a film's says f{f}."""
    folder = root / "reviews"
    folder.mkdir()
    amazon = [f"{p}_{s}\t{(p - 10) / 10}\tp{p} {snippet(p * 7 + s)}" for p in range(products) for s in range(sentences)]
    movie = [f"{f}\t{4 - f / 50}\tf{f} {snippet(f)} Café" for f in range(films)]
    for file, lines in zip(texts.SNIPPETS, (amazon, movie), strict=True):
        (folder / file).write_bytes("\r\n".join(lines).encode())


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DWF_OFFLINE", "1")
    write_reviews(tmp_path)
    return tmp_path


def parts(root: Path, **changes):
    """Train, validation and test as they are read, before tokens hide their words."""
    seen = []

    class Spy(Tokenizer):
        def __call__(self, given):
            seen.append(given)
            return super().__call__(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.datasets.texts.Tokenizer", Spy)
        splits = [
            *load_fitting(Texts(name="reviews", **changes), root),
            load_test(Texts(name="reviews", **changes), root),
        ]
    return seen, splits


@pytest.mark.parametrize("changes", [{}, {"validation": 0.4}, {"train": 90, "test": 25}])
def test_no_review_is_in_two_splits(root, changes):
    seen, _ = parts(root, **changes)
    reviews = [{text.split()[0] for text in given} for given in seen]
    assert all(len(given) > 3 for given in reviews)
    assert not reviews[0] & reviews[1] | reviews[0] & reviews[2] | reviews[1] & reviews[2]
    if "train" not in changes:  # and none is lost
        assert sum(map(len, seen)) == 200
        assert len(set.union(*reviews)) == 120


def test_a_film_and_a_product_of_the_same_number_are_two_reviews(root):
    names = [texts.read(Texts(name="reviews"), root, train=train).groups for train in (True, False)]
    assert len({*names[0], *names[1]}) == 120


def test_the_test_split_is_a_fixed_fifth(root):
    (_, _, test), _ = parts(root)
    (_, _, again), _ = parts(root, validation=0.5, train=150)
    assert test == again
    assert 40 <= len(test) < 45


def test_ratings_are_on_minus_one_to_one_and_stay_with_their_texts(root):
    seen, splits = parts(root)
    for given, split in zip(seen, splits, strict=True):
        assert split.targets.dtype == torch.float32
        numbers = [(text[0], int(text.split()[0][1:])) for text in given]
        expected = [(n - 10) / 40 if kind == "p" else 1 - n / 200 for kind, n in numbers]
        assert torch.allclose(split.targets, torch.tensor(expected))


def test_tokens_are_padded_with_zeros_and_cut(root):
    _, splits = parts(root, length=12)
    for split in splits:
        assert split.inputs.dtype == torch.int64
        assert split.inputs.shape == (len(split.targets), 12)
        padding = split.inputs == 0
        assert torch.equal(padding, padding.cummax(1).values)  # nothing follows it
        assert bool((split.inputs[:, 0] == SPECIAL.index("[CLS]")).all())
        last = split.inputs.gather(1, (~padding).sum(1, keepdim=True) - 1)
        assert bool((last == SPECIAL.index("[SEP]")).all())
    short = Tokenizer.learned(["good phone"] * 3, 100, 6)
    assert short(["good", "good phone good phone good phone"]).tolist()[0][3:] == [0, 0, 0]
    assert short(["good phone good phone good phone"]).bool().all()


def test_a_word_of_the_test_texts_alone_is_not_learned(root):
    """Nor one of the validation texts alone; the same words in the training texts are."""
    seen, _ = parts(root)
    train = Tokenizer.learned(seen[0], 4096, 16).vocabulary
    folder = root / "reviews"
    for secret, given in [("zyzzyva", seen[2]), ("xylograph", seen[1]), ("quokka", seen[0])]:
        for file in folder.iterdir():
            lines = file.read_bytes().decode().split("\r\n")
            marked = [
                f"{line} {secret} {secret}" if line.split("\t")[2].split()[0] in {t.split()[0] for t in given} else line
                for line in lines
            ]
            file.write_bytes("\r\n".join(marked).encode())
    seen_now, splits = parts(root)
    assert all(("zyzzyva" in text) == (i == 2) for i, part in enumerate(seen_now) for text in part)
    vocabulary = Tokenizer.learned(seen_now[0], 4096, 64).vocabulary
    assert "quokka" in vocabulary
    assert not {"zyzzyva", "xylograph"} & set(vocabulary)
    assert set(train) <= set(vocabulary) | {"##q", "q"}
    words = Tokenizer.learned(seen_now[0], 4096, 64)
    for part, split in zip(seen_now, splits, strict=True):  # what the loaders gave is what the training texts teach
        assert torch.equal(words(part), split.inputs)


def test_spelling_is_brought_to_lower_case_without_accents():
    words = Tokenizer.learned(["café bar"] * 5, 100, 8)
    assert torch.equal(words(["CAFE Bar"]), words(["café bar"]))
    assert not torch.equal(words(["cafe bar"]), words(["cafe, bar"]))


@pytest.mark.parametrize("size", [8, 9, 20, 40, 4096])
def test_the_vocabulary_has_a_bound(size):
    words = Tokenizer.learned([snippet(i) for i in range(50)], size, 16)
    assert len(words.vocabulary) <= size
    assert sorted(words.vocabulary.values()) == list(range(len(words.vocabulary)))
    assert [words.vocabulary[token] for token in SPECIAL] == [0, 1, 2, 3]
    assert int(words([snippet(i) for i in range(60)] + ["÷"]).max()) < size


def test_many_texts_are_encoded_as_few_are(monkeypatch):
    words, given = Tokenizer.learned([snippet(i) for i in range(50)], 100, 16), [snippet(i) for i in range(20)]
    whole = words(given)
    monkeypatch.setattr("stages.datasets.tokenizer.BLOCK", 7)
    assert torch.equal(words(given), whole)
    assert torch.equal(whole, torch.cat([words([text]) for text in given]))


def test_few_places_go_to_the_most_frequent_letters():
    assert set(Tokenizer.learned(["a zz zz", "a zz b"], 6, 4).vocabulary) == {*SPECIAL, "z", "##z"}


def test_special_words_in_a_text_are_words():
    words = Tokenizer.learned(["a [PAD] ##a b"] * 4, 100, 16)
    assert 0 not in words(["a b"])[0, :4]
    assert int(words(["##a"])[0, 1]) != words.vocabulary["##a"]


LEARN = """
import sys, json
sys.path.insert(0, "tests/stages")
from pathlib import Path
from stages.datasets.tokenizer import Tokenizer
texts = Path(sys.argv[1]).read_text().split("|")
print(json.dumps(sorted(Tokenizer.learned(texts, 80, 16).vocabulary.items())))
"""


@pytest.mark.slow
def test_the_same_texts_teach_the_same_words_in_every_process(tmp_path):
    """Many pieces are equally frequent, and the bound cuts through them."""
    given = [snippet(i) for i in range(40)]
    (tmp_path / "texts").write_text("|".join(given))
    run = [sys.executable, "-c", LEARN, str(tmp_path / "texts")]
    found = {subprocess.run(run, capture_output=True, check=True, text=True).stdout for _ in range(3)}
    assert len(found) == 1
    assert len({str(sorted(Tokenizer.learned(given, 80, 16).vocabulary.items())) for _ in range(5)}) == 1


def test_loading_twice_gives_the_same(root):
    digests = [
        [hashlib.sha256(split.inputs.numpy().tobytes()).hexdigest() for split in parts(root)[1]] for _ in range(2)
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"1_1\t0.5\tfine\r\n1_2\t0.5", "line 2: expected id TAB rating from -4 to 4 TAB text, found '1_2"),
        (b"1_1\t5\tfine", "line 1"),
        (b"1_1\tnan\tfine", "line 1"),
        (b"1_1\tgood\tfine", "could not convert"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_missing_or_damaged_reviews_are_one_line(root, content, says):
    file = root / "reviews" / texts.SNIPPETS[0]
    file.unlink() if content is None else file.write_bytes(content)
    for load in (load_fitting, load_test):
        with pytest.raises(DataMissing) as caught:
            load(Texts(name="reviews"), root)
        message = str(caught.value)
        assert all(part in message for part in (says, str(file), *texts.SNIPPETS, "--data-root"))
        assert "\n" not in message


YELP = '"5","dr. ""goldberg"" is good\\nvery good"\n"1","bad, and\nworse"\n"3","so so"\n'


@pytest.fixture
def yelp(tmp_path, monkeypatch) -> Path:
    """A Yelp of 30 training and 3 test reviews, in the authors' format."""
    monkeypatch.setenv("DWF_OFFLINE", "1")
    folder = tmp_path / texts.YELP
    folder.mkdir()
    (folder / "train.csv").write_text(YELP * 10)
    (folder / "test.csv").write_text(YELP)
    return tmp_path


def test_yelp_is_read_from_the_authors_files(yelp):
    train, validation = load_fitting(Texts(name="yelp", validation=0.2, vocabulary=100, length=16), yelp)
    test = load_test(Texts(name="yelp", length=16), yelp)
    assert [len(split.targets) for split in (train, validation, test)] == [24, 6, 3]
    assert test.targets.tolist() == [1, -1, 0]
    assert test.targets.dtype == torch.float32
    assert texts.read(Texts(name="yelp"), yelp, train=False).inputs.tolist() == [
        'dr. "goldberg" is good very good',
        "bad, and\nworse",
        "so so",
    ]


@pytest.mark.parametrize("content", ['"6","too good"\n', '"5"\n', '"5","a","b"\n', "five,a\n"])
def test_other_files_are_not_taken_for_yelp(yelp, content):
    (yelp / texts.YELP / "train.csv").write_text('"5","good"\n' + content)
    with pytest.raises(DataMissing, match="row 2: expected"):
        load_fitting(Texts(name="yelp"), yelp)


def test_without_files_and_offline_yelp_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("DWF_OFFLINE", "1")
    with pytest.raises(DataMissing) as caught:
        load_fitting(Texts(name="yelp"), tmp_path)
    assert all(
        part in str(caught.value) for part in (str(tmp_path / texts.YELP), "train.csv and test.csv", "DWF_OFFLINE")
    )
    assert "\n" not in str(caught.value)


def test_without_files_and_package_yelp_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("DWF_OFFLINE", "0")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataMissing, match="pip install datasets"):
        load_fitting(Texts(name="yelp"), tmp_path)


def hub(load) -> ModuleType:
    """What stands for Hugging Face's package."""
    package = ModuleType("datasets")
    vars(package)["load_dataset"] = load
    return package


def test_yelp_comes_from_hugging_face_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("DWF_OFFLINE", "0")
    asked = []

    def load(name, split):
        asked.append((name, split))
        return {"label": [0, 2, 4], "text": ["bad\\nfood", "so so", "good"]}

    monkeypatch.setitem(sys.modules, "datasets", hub(load))
    found = texts.read(Texts(name="yelp"), tmp_path, train=False)
    assert asked == [("Yelp/yelp_review_full", "test")]
    assert found.targets.tolist() == [-1, 0, 1]
    assert found.inputs.tolist() == ["bad food", "so so", "good"]


def test_a_download_that_fails_is_one_line(tmp_path, monkeypatch):
    def load(name, split):
        raise ConnectionError("no\nnetwork")

    monkeypatch.setenv("DWF_OFFLINE", "0")
    monkeypatch.setitem(sys.modules, "datasets", hub(load))
    with pytest.raises(DataMissing, match=r"\(no\); put train.csv") as caught:
        load_fitting(Texts(name="yelp"), tmp_path)
    assert "\n" not in str(caught.value)
