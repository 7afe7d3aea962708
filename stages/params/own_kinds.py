"""Parameters of each kind of a user's own data: arrays, folders of images, tables, Hugging Face's, a function's."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from stages.params.base import below
from stages.params.network import FunctionName
from stages.params.own_data import OwnDataset, plain

Files = str | tuple[str, str]
"""A file or folder, or a pair of files: inputs and targets."""


class Arrays(OwnDataset):
    """Arrays of numbers, images or texts in numpy's files."""

    reader = "arrays"
    paths = ("train", "test", "validation")
    kind: Literal["arrays"]
    """Kind of data set: `arrays`, numpy's files."""
    train: Files
    """An .npz file with inputs [examples, ...] and targets [examples], or a pair of .npy files: [x.npy, y.npy]."""
    test: Files | None = None
    """The same of the test split; it may be the same file, with `x_test` and `y_test` or `test_index`. None: a share of
    `train`."""
    inputs: str | None = None
    """Name of the inputs in an .npz file. None: `x`, `inputs`, `images`, `data` or `features`, also in capitals, and
    with the split before or after: `x_train`, `train_images`."""
    targets: str | None = None
    """Name of the targets in an .npz file. None: `y`, `targets`, `labels`, and so on, like `inputs`."""
    test_index: str | None = None
    """Name of an array of row numbers in the training file: these rows are the test split, the others the training
    split."""

    @property
    def has_test(self) -> bool:
        """Whether there is a test split of its own, be it by row numbers."""
        return super().has_test or self.test_index is not None


class ImageFolder(OwnDataset):
    """A folder of images with a folder for each class, as torchvision's ImageFolder reads it."""

    reader = "folder"
    paths = ("train", "test", "validation")
    kind: Literal["folder"]
    """Kind of data set: `folder`, images in a folder for each class."""
    train: str
    """The folder: `train/<class>/<any name>.png`, or .jpg, .bmp, .webp and so on, at any depth."""
    test: str | None = None
    """The same of the test split. None: a share of `train`."""


class TableFile(OwnDataset):
    """A table in a file: a row for each example, a column for each feature, and one for the target."""

    reader = "table_file"
    paths = ("train", "test", "validation")
    kind: Literal["csv", "parquet"]
    """Kind of data set: `csv`, also compressed (.csv.gz), or `parquet`."""
    train: str
    """The file, with names of columns in its first line."""
    test: str | None = None
    """The same of the test split. None: a share of `train`."""
    target: str
    """Column to predict: classes (text or whole numbers) or, in a regression, numbers."""
    inputs: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Columns of features, in this order. None: all but `target` and `drop`."""
    drop: tuple[str, ...] = ()
    """Columns that are no features, such as the number of a row."""
    text: str | None = None
    """Column of texts, which are the inputs instead of features."""
    separator: str = Field(default=",", min_length=1)
    """Text between the values of a csv file's line."""


class Hub(OwnDataset):
    """A data set of Hugging Face's `datasets`: on the hub, or a folder that its library wrote or can read."""

    reader = "hub"
    __hash__ = OwnDataset.__hash__

    kind: Literal["hub"]
    """Kind of data set: `hub`, Hugging Face's."""
    path: str
    """Name on the hub, such as `ylecun/mnist`, or a folder: `save_to_disk`'s, or one of data files."""
    config: str | None = None
    """Name of a configuration of the data set, for those that have several."""
    revision: str | None = None
    """Commit or tag on the hub. Keys hold what a folder holds, but of the hub only name and revision: pin it."""
    train: str = "train"
    """Name of the training split."""
    test: str | None = "test"
    """Name of the test split. None: a share of `train`."""
    inputs: str | None = None
    """Column of inputs. None: `image`, `img`, `text`, `sentence`, `inputs`, `x` or `features`; without any of these all
    columns of numbers."""
    targets: str | None = None
    """Column of targets. None: `label`, `labels`, `target`, `targets` or `y`."""

    @model_validator(mode="before")
    @classmethod
    def _path_by_name(cls, values: Any) -> Any:
        """Let `name: ylecun/mnist` say the path."""
        if not isinstance(values, dict) or values.get("path") or "name" not in values:
            return values
        return {**values, "path": values["name"], "name": plain(str(values["name"]))}

    @classmethod
    def default_name(cls, values: dict[str, Any]) -> str:
        """The last part of its path."""
        return plain(str(values.get("path", "")))

    def files(self) -> dict[str, tuple[str, ...]]:
        """The folder, if it is one."""
        return {"path": (self.path,)} if Path(self.path).expanduser().is_dir() or self.contents else {}

    def below(self, folder: Path) -> "Hub":
        """A copy whose path, if there is such a folder, is below another."""
        path = below(folder, self.path)
        return self.model_copy(update={"path": path}) if Path(path).is_dir() else self


class DatasetFactory(OwnDataset):
    """A data set that a function makes."""

    reader = "factory"
    __hash__ = OwnDataset.__hash__

    kind: Literal["factory"]
    """Kind of data set: `factory`, a function."""
    make: FunctionName
    """The function, `package.module:name`. It returns (train, test) or (train, validation, test), each a torch data set
    or arrays (inputs, targets)."""
    kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the function."""
    version: str | int | None = None
    """Version of the data. Keys hold the sources of the function's module and its arguments, not what it returns: give
    another version when that changes."""

    @field_validator("validation")
    @classmethod
    def _is_a_share(cls, validation: float | str) -> float | str:
        if isinstance(validation, str):
            raise ValueError(  # noqa: TRY004 - pydantic reports ValueErrors
                "a fraction of the training examples; a split of its own is what the function returns"
            )
        return validation

    @classmethod
    def default_name(cls, values: dict[str, Any]) -> str:
        """The module's name."""
        return plain(str(values.get("make", "")).partition(":")[0].rpartition(".")[2])

    def modules(self) -> tuple[str, ...]:
        """Also the function's own module."""
        return (*super().modules(), self.make.partition(":")[0])
