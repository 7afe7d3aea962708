"""Texts with a rating in [-1, 1], from the worst to the best."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from stages.datasets.examples import Examples, first_line, offline, split
from stages.datasets.tokenizer import Tokenizer
from stages.errors import DataMissing
from stages.params.dataset import Texts
from stages.seeds import generator

SNIPPETS = ("amazonReviewSnippets_GroundTruth.txt", "movieReviewSnippets_GroundTruth.txt")
"""Hutto & Gilbert 2014: sentences rated by twenty people each, from -4 to 4; lines of id TAB rating TAB text."""
TEST_SHARE = 0.2
"""Share of the snippets in the test split, which they come without."""
YELP = "yelp_review_full"
"""Zhang et al. 2015: 650,000 reviews to train on and 50,000 to test, of 1 to 5 stars."""


def read(dataset: Texts, root: Path, *, train: bool) -> Examples:
    """Texts [examples], ratings [examples] in [-1, 1], and the review of each text where reviews come in several.

    Raises DataMissing saying which files to put where.
    """
    return _reviews(root / "reviews", train=train) if dataset.name == "reviews" else _yelp(root, train=train)


def encoder(dataset: Texts, fitted: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
    """Tokenization with word pieces learned from the examples that fit members."""
    tokenizer = Tokenizer.learned(fitted().inputs.tolist(), dataset.vocabulary, dataset.length)
    return lambda examples: tokenizer(examples.inputs.tolist())


def describe(dataset: Texts) -> str:
    """What networks are given of a text."""
    return f"{dataset.length} tokens of each text, word pieces learned from the training texts"


def _reviews(folder: Path, *, train: bool) -> Examples:
    """One side of a fixed split by review: sentence 3 of a product's review 12 is called 12_3, a film's is whole."""
    lines = [line for file in SNIPPETS for line in _snippets(folder / file)]
    groups, ratings, texts = (np.array(column, dtype=object) for column in zip(*lines, strict=True))
    examples = Examples(texts, ratings.astype(np.float32) / 4, groups)
    return split(examples, TEST_SHARE, generator("test", "reviews"))[0 if train else 1]


def _snippets(path: Path) -> list[tuple[str, float, str]]:
    """Review, rating and text of each line."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return [_snippet(path.stem, number, line) for number, line in enumerate(lines, 1) if line]
    except (OSError, ValueError) as error:  # the latter: another form, or not UTF-8
        raise DataMissing(
            f"reviews can't be read from {path} ({first_line(error)}); put {' and '.join(SNIPPETS)} there (lines of id "
            "TAB rating TAB text, from github.com/cjhutto/vaderSentiment), or name the folder above reviews/ with "
            "--data-root or DWF_DATA_ROOT"
        ) from error


def _snippet(file: str, number: int, line: str) -> tuple[str, float, str]:
    name, rating, text = line.split("\t") if line.count("\t") == 2 else ("", "nan", "")
    if not -4 <= float(rating) <= 4:
        raise ValueError(f"line {number}: expected id TAB rating from -4 to 4 TAB text, found {line[:40]!r}")
    return f"{file} {name.partition('_')[0]}", float(rating), text


def _yelp(root: Path, *, train: bool) -> Examples:
    """The authors' CSV files if they are there, else what Hugging Face has."""
    split = "train" if train else "test"
    file = root / YELP / f"{split}.csv"
    stars, texts = _csv(file) if file.exists() else _hugging_face(file, split)
    inputs = np.array([text.replace("\\n", " ") for text in texts], dtype=object)  # the files' way to say: a new line
    return Examples(inputs, (np.array(stars, np.float32) - 3) / 2)


def _csv(file: Path) -> tuple[list[int], list[str]]:
    """Stars and texts of lines such as "5","Good food"."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            reviews = [_review(number, row) for number, row in enumerate(csv.reader(lines), 1)]
    except (OSError, ValueError, csv.Error) as error:
        raise DataMissing(_missing_yelp(file, first_line(error))) from error
    return [stars for stars, _ in reviews], [text for _, text in reviews]


def _review(number: int, row: list[str]) -> tuple[int, str]:
    if len(row) != 2 or row[0] not in {"1", "2", "3", "4", "5"}:
        raise ValueError(f'row {number}: expected "stars","text", found {str(row)[:40]}')
    return int(row[0]), row[1]


def _hugging_face(file: Path, split: str) -> tuple[list[int], list[str]]:
    """Stars and texts, downloaded by the package `datasets`."""
    if offline():
        raise DataMissing(_missing_yelp(file, "no such file, and DWF_OFFLINE forbids to download it"))
    try:
        from datasets import load_dataset  # pyright: ignore - only there for those who want Yelp
    except ModuleNotFoundError as error:
        raise DataMissing(_missing_yelp(file, "no such file, and to download it: pip install datasets")) from error
    try:
        data: Any = load_dataset("Yelp/yelp_review_full", split=split)
    except (OSError, RuntimeError, ValueError) as error:  # no network, a failed build, a damaged cache
        raise DataMissing(_missing_yelp(file, first_line(error))) from error
    return [label + 1 for label in data["label"]], list(data["text"])  # its classes count from 0


def _missing_yelp(file: Path, why: str) -> str:
    return (
        f'yelp can\'t be read from {file} ({why}); put train.csv and test.csv there (lines of "stars","text", as in '
        f"yelp_review_full_csv.tgz), or name the folder above {YELP}/ with --data-root or DWF_DATA_ROOT"
    )
