"""Small data sets for the examples, from those that come with scikit-learn: `python make_data.py` writes them here."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes, load_digits, load_wine

DIGITS = 400
"""Images in the folder of images."""


def make(folder: Path) -> None:
    """Write them all below a folder: arrays, tables, a folder of images, and a folder of Hugging Face's."""
    import datasets
    from PIL import Image

    wine, diabetes, digits = load_wine(as_frame=True), load_diabetes(as_frame=True, scaled=False), load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    wine.frame.assign(target=wine.target_names[wine.target]).to_csv(folder / "wine.csv", index=False)
    diabetes.frame.to_parquet(folder / "diabetes.parquet", index=False)
    x, y = wine.data.to_numpy(), wine.target.to_numpy()
    is_test = np.arange(len(x)) % 4 == 0
    np.savez(folder / "wine.npz", x_train=x[~is_test], y_train=y[~is_test], x_test=x[is_test], y_test=y[is_test])
    parts = {"train": ~is_test, "test": is_test}
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict({"x": x[rows], "label": y[rows]}) for name, rows in parts.items()}
    ).save_to_disk(str(folder / "wine"))
    for i, (pixels, digit) in enumerate(zip(digits.images[:DIGITS], digits.target, strict=False)):
        path = folder / "digits" / ("test" if i % 4 == 0 else "train") / str(digit) / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(pixels * 255 / 16)).save(path)


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "example_data"))
