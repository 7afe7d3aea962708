"""Parameters that all of a user's own data sets share."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, PositiveInt, model_validator

from stages.params.base import below
from stages.params.data_files import content_of_data, in_place
from stages.params.splits import DatasetParams, MeanAndStd

Share = Annotated[float, Field(gt=0, lt=1)]
D = TypeVar("D", bound="OwnDataset")


class OwnDataset(DatasetParams):
    """A data set of the user's own."""

    kind: Any  # each kind's own literal
    paths: ClassVar[tuple[str, ...]] = ()
    """Fields that name files or folders, whose content enters keys in the place of their names."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")
    """Name in listings and figures, and part of the seeds of random subsets; by default that of the training file."""
    validation: Share | str = 0.1
    """Validation split, which no member is trained on: a fraction of the training examples, or a split of its own."""
    test_share: Share = 0.2
    """Fraction of all examples in the test split where `test` isn't given: a fixed choice, stratified by class."""
    train_examples: PositiveInt | None = None
    """Number of training examples, validation included: a random subset, always the same. None: all."""
    test_examples: PositiveInt | None = None
    """Number of test examples: a random subset, always the same. None: all."""
    task: Literal["classification", "regression"] | None = None
    """Task: `classification` or `regression`. None: a regression where targets are fractions."""
    class_names: tuple[str, ...] | None = Field(default=None, min_length=2)
    """Labels in the order of their class numbers. None: sorted."""
    only: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Labels to restrict the data set to; classes keep their numbers. None: all."""
    input_type: Literal["numbers", "images", "texts"] | None = None
    """Type of the inputs. None: `images` where they are bytes [height, width] or more, `texts` where they are text."""
    normalize: MeanAndStd | Literal["train", "none"] = "train"
    """Normalization of numbers by feature, and of pixels, in [0, 1], by channel: `train`, by mean and standard
    deviation of the training examples, `{mean: ..., std: ...}`, or `none`: as they are."""
    size: PositiveInt | None = None
    """Height and width of images in pixels: their shorter side is scaled to it, and they are cropped at the centre.
    None: as they are, which must be one size for all."""
    channels: Literal[1, 3] | None = None
    """Number of channels of images: 3 repeats that of grey images, 1 makes image files grey. None: their own."""
    vocabulary: int = Field(default=4096, ge=8)
    """Largest number of word pieces of texts, learned from the training texts."""
    length: int = Field(default=64, ge=3)
    """Tokens per text: longer texts are truncated, shorter ones padded."""
    contents: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Hashes of what the files hold, by field, as the zoo has written them down: files that hold anything else are
    refused. Left out: whatever they hold."""

    @model_validator(mode="before")
    @classmethod
    def _with_a_name(cls, values: Any) -> Any:
        named = isinstance(values, dict) and not values.get("name")
        return {**values, "name": cls.default_name(values)} if named else values

    @classmethod
    def default_name(cls, values: dict[str, Any]) -> str:
        """The name where none is given: that of the training file or folder, or of the one above `train`."""
        first = values.get("train")
        first = first[0] if isinstance(first, list | tuple) and first else first
        path = Path(str(first or ""))
        return plain(path.parent.name if path.stem in ("train", "training") and path.parent.name else path.stem)

    @property
    def counts(self) -> tuple[int | None, int | None]:
        """`train_examples` and `test_examples`."""
        return self.train_examples, self.test_examples

    @property
    def validation_share(self) -> float:
        """`validation`, 0 where that is a split of its own."""
        return 0.0 if isinstance(self.validation, str) else self.validation

    @property
    def has_test(self) -> bool:
        """Whether there is a test split of its own; what has no field for one brings it."""
        return getattr(self, "test", True) is not None

    def __hash__(self) -> int:
        """Equal descriptions have equal hashes; a dict has none."""
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    def files(self) -> dict[str, tuple[str, ...]]:
        """The files and folders that it names, by field."""
        named = {field: getattr(self, field) for field in self.paths}
        named = {field: (value,) if isinstance(value, str) else value for field, value in named.items()}
        return {field: value for field, value in named.items() if isinstance(value, tuple)}

    def _with_files(self: D, files: dict[str, tuple[str, ...]]) -> D:
        return self.model_copy(update={field: p[0] if len(p) == 1 else p for field, p in files.items()})

    def below(self: D, folder: Path) -> D:
        """A copy whose paths, if relative, are below a folder."""
        return self._with_files({field: tuple(below(folder, p) for p in ps) for field, ps in self.files().items()})

    def fingerprint(self) -> dict[str, Any]:
        """The parameters, with what files hold in the place of their names."""
        return super().fingerprint() | dict.fromkeys(self.files()) | {"contents": self.found_contents()}

    def found_contents(self) -> dict[str, Any]:
        """Hashes of what the files hold now. Raises UsageError naming the field of a file that isn't there."""
        return {field: [content_of_data(p, f"zoo.dataset.{field}") for p in ps] for field, ps in self.files().items()}

    def known(self: D) -> D:
        """The same with its files' contents, and with files where these are now.

        Raises DataMissing if `contents` were known already and can't be found.
        """
        if not self.contents:
            return self.model_copy(update={"contents": {f: tuple(c) for f, c in self.found_contents().items()}})
        return self._with_files(
            {
                field: tuple(in_place(p, c, self.name) for p, c in zip(ps, self.contents[field], strict=True))
                for field, ps in self.files().items()
            }
        )

    def placeless(self: D) -> D:
        """The same with bare names of files, for what mustn't depend on where they lie."""
        return self._with_files({field: tuple(Path(p).name for p in ps) for field, ps in self.files().items()})


def plain(path: str) -> str:
    """The last part of a path as a name: letters, digits, points, underscores and hyphens."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in Path(path).name)
