"""The configuration of one experiment: strict YAML, overrides, and errors that name the nearest valid key."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, Field, PositiveInt, ValidationError, model_validator

from pipeline.configurations import STORE, find, folder_of, importable
from pipeline.renamed_keys import current_key, with_current_keys
from pipeline.strict_yaml import MAX_DEPTH, parse_yaml, read_yaml
from stages.errors import MAX_LINES, UsageError, did_you_mean, shown
from stages.params.base import Params
from stages.params.canonicalize import CanonicalizeParams
from stages.params.dataset import BUILT_IN, OWN
from stages.params.evaluate import EvaluateParams
from stages.params.fit import CONDITIONS, FitParams
from stages.params.pack import PackParams
from stages.params.sample import Sample, SampleParams
from stages.params.zoo import Zoo, ZooParams
from stages.trust import check_module, trusted


class Experiment(Params):
    """One run of the dag. Fields above `zoo` change where and how fast it runs, never a result or its key."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$", max_length=200)
    """Name of the experiment in listings and reports; the file's name by default."""
    store_root: Path = STORE
    """Folder of all artifacts, relative to this file's folder; by default `data` in the current folder."""
    data_root: Path = STORE / "0_raw"
    """Folder of the data sets, in torchvision's layout, relative to this file's folder; by default `data/0_raw` in the
    current folder."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Device of all computation: `auto` (CUDA if there is any), `cpu`, `cuda` or `cuda:N`."""
    threads: PositiveInt = Field(default_factory=lambda: os.cpu_count() or 1)
    """Number of CPU threads in all, shared by shards of the zoo that are trained side by side."""
    logger: Literal["none", "mlflow", "wandb"] = "none"
    """Tracker that a run is logged to, beside the artifacts: `mlflow`, `wandb` (each an extra) or `none`."""
    zoo: Zoo
    """Zoo of members: trained here, or imported from checkpoints."""
    canonicalize: CanonicalizeParams = CanonicalizeParams()
    """Alignment of the members to one reference."""
    pack: PackParams = PackParams()
    """Storage of the aligned members as rows of one array."""
    fit: FitParams | None = None
    """Training of the flow-matching model; without effect on another generator's networks, which need none."""
    sample: Sample
    """Generation of new networks, or networks of another generator in their place."""
    evaluate: EvaluateParams = EvaluateParams()
    """Comparison of generated networks with members and baselines."""

    @property
    def fits(self) -> bool:
        """Whether networks are drawn from a flow, which the dag then fits, and aren't another generator's."""
        return isinstance(self.sample, SampleParams)

    @model_validator(mode="after")
    def _fit_where_needed(self) -> "Experiment":
        if self.fits and self.fit is None:
            raise ValueError("fit: required, but missing")
        return self

    @model_validator(mode="after")
    def _of_one_data_set(self) -> "Experiment":
        """Generated networks of a zoo of several data sets are of one of them."""
        names = list(self.zoo.datasets) if isinstance(self.zoo, ZooParams) else []
        conditioned = self.fit is None or not self.fits or "dataset" in self.fit.condition
        if len(names) > 1 and not (conditioned and self.sample.condition.get("dataset") in names):
            condition = "fit.condition: [dataset] and " if self.fits else ""
            raise ValueError(
                f"zoo.other_datasets: of {' and '.join(names)}, say which generated networks are for: "
                f"{condition}sample.condition: {{dataset: {names[0]}}}"
            )
        return self

    @model_validator(mode="after")
    def _conditioned_on_facts(self) -> "Experiment":
        """What members trained here are known by is known before they are trained."""
        unknown = [name for name in self.fit.condition if name not in CONDITIONS] if self.fit else []
        if unknown and isinstance(self.zoo, ZooParams):
            near = did_you_mean(unknown[0], CONDITIONS)
            raise ValueError(f"fit.condition: found {unknown[0]!r}; allowed here: {', '.join(CONDITIONS)}{near}")
        return self

    _trust: tuple[str, ...] = ()

    def model_post_init(self, context: Any, /) -> None:
        """Keep what is trusted now, for threads and processes to come."""
        del context
        self._trust = trusted.get()

    @property
    def trust(self) -> tuple[str, ...]:
        """Modules that are trusted beyond the usual ones; whoever runs the experiment says so, no file can."""
        return self._trust

    def below(self, folder: Path) -> Self:
        """A copy with relative paths taken from a folder, but from the current one where they are the defaults."""
        roots = {
            name: (folder if name in self.model_fields_set else Path.cwd()) / getattr(self, name).expanduser()
            for name in ("store_root", "data_root")
        }
        return super().below(folder).model_copy(update=roots)

    def params(self, stage: str) -> Params:
        """The parameters of one stage; the report has none."""
        return Params() if stage == "report" else getattr(self, stage)


def load(
    file: Path | str, overrides: Iterable[str] = (), store: Path | None = None, data: Path | None = None
) -> Experiment:
    """Read and check a configuration, given by path or by name; `overrides` are `key.path=value`, laid over the file.

    Modules beside the file can be imported from then on. Raises UsageError with one line for each thing that is wrong:
    file, key, value, what is allowed, nearest name.
    """
    path, values = read(file)
    importable(folder := folder_of(path))
    return checked({"name": path.stem, **values}, str(file), folder, overrides, store, data)


def checked(
    values: Mapping[str, Any],
    where: str,
    folder: Path,
    overrides: Iterable[str] = (),
    store: Path | None = None,
    data: Path | None = None,
) -> Experiment:
    """The experiment that sections describe, relative paths in them taken from a folder; otherwise as `load`.

    Errors begin with `where`, also one for a function of a module that isn't trusted.
    """
    try:
        values = with_current_keys(deepcopy(dict(values)))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    for text in overrides:
        _override(values, text)
    if (root := data or os.environ.get("DWF_DATA_ROOT")) is not None:
        values["data_root"] = str(Path(root).absolute())
    if store is not None:
        values["store_root"] = str(store.absolute())
    try:
        experiment = Experiment.model_validate(values).below(folder)
    except ValidationError as error:
        raise UsageError("\n".join(f"{where}: {line}" for line in _explain(error, values))) from None
    except RuntimeError as error:  # a path such as ~nobody/zoo
        raise UsageError(f"{where}: {error}; write the path without ~") from None
    for module in experiment.modules():
        check_module(module, where)
    return experiment


def read(file: Path | str, among: str = "*.yaml") -> tuple[Path, dict[str, Any]]:
    """The YAML file that a path or a name means, with its sections.

    Raises UsageError if there is none, naming the built-in ones that match `among`, or if it isn't readable.
    """
    path = find(file, among)
    if not isinstance(values := read_yaml(path), dict):
        raise NoSections(f"{path}: expected sections such as zoo: and fit:, found {type(values).__name__}")
    return path, values


class NoSections(UsageError):
    """A YAML file that holds something else than a configuration."""


def _override(values: dict[str, Any], text: str) -> None:
    """Lay one `fit.steps=500` over the values; the right side is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {shown(text)}: expected key.path=value, e.g. fit.steps=500")
    *sections, last = current_key(key.strip()).split(".", MAX_DEPTH)
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {shown(text)}: {section!r} is a value ({shown(inner)}), not a section")
        values = inner
    try:
        values[last] = parse_yaml(value)
    except UsageError as error:
        raise UsageError(f"--set {shown(text)}: {error}") from error


ABSENT = object()
"""Stands for the value of a key that isn't in the file."""


def _explain(error: ValidationError, values: Any) -> Iterator[str]:
    for problem in error.errors()[: MAX_LINES + 1]:  # one more, for the message to say that it isn't all
        loc = problem["loc"][:-1] if problem["loc"][-1:] in ((BUILT_IN,), (OWN,)) else problem["loc"]
        key = ".".join(_written(loc, values, missing=problem["type"] == "missing"))
        if problem["type"] == "extra_forbidden":
            allowed = sorted(_fields(Experiment, loc[:-1]))
            near = did_you_mean(str(loc[-1]), allowed)
            yield f"{key}: unknown key (value {shown(problem['input'])}); allowed here: {', '.join(allowed)}{near}"
        elif problem["type"].startswith("union_tag"):
            yield f"{key}.{_wrong_tag(problem.get('ctx', {}), problem['input'])}"
        elif problem["type"] == "missing":
            yield f"{key}: required, but missing"
        elif problem["type"] == "value_error":
            yield f"{key}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": ")  # of no one section
        else:
            yield f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, found {shown(problem['input'])}"


def _written(loc: tuple[int | str, ...], values: Any, *, missing: bool) -> Iterator[str]:
    """The keys of an error's location as the file has them: without the kinds of sections that pydantic adds."""
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        inner = _inside(values, part)
        if isinstance(inner, dict | list) or (last and (missing or inner is not ABSENT)):
            yield str(part)
            values = inner


def _inside(values: Any, part: int | str) -> Any:
    """The value at one step of a location, or ABSENT."""
    if isinstance(values, dict):
        return values.get(part, ABSENT)
    return values[part] if isinstance(values, list) and isinstance(part, int) and part < len(values) else ABSENT


def _wrong_tag(context: dict[str, Any], section: Any) -> str:
    """The message about a key that chooses a section's kind: missing, or of an unknown value."""
    field = context["discriminator"].strip("'")
    if "tag" not in context:
        return f"{field}: required, but missing; found {shown(section)}"
    allowed = context["expected_tags"].replace("'", "").split(", ")
    near = did_you_mean(context["tag"], allowed)
    return f"{field}: unknown value {shown(context['tag'])}; allowed here: {', '.join(allowed)}{near}"


def _fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """Names allowed in the section that an error's location points into."""
    models = [model]
    for part in loc:
        inner = [
            m
            for outer in models
            if part in outer.model_fields
            for m in _models(outer.model_fields[str(part)].annotation)
        ]
        models = inner or [m for m in models if part in _tags(m)] or models
    return {name for m in models for name in m.model_fields}


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside a field's annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [m for a in inner for m in _models(a)]


def _tags(model: type[BaseModel]) -> set[Any]:
    """Values of `kind`, `name` or `source` that choose this model for a section."""
    fields = [model.model_fields[tag] for tag in ("kind", "name", "source") if tag in model.model_fields]
    return {value for field in fields for value in get_args(field.annotation)}


NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")


def flat_overrides(overrides: Mapping[str, Any]) -> list[str]:
    """`{"fit.steps": 500}` as `["fit.steps=500"]`."""
    return [f"{key}={_yaml(value)}" for key, value in overrides.items()]


def _yaml(value: Any) -> str:
    """A value as JSON, which is YAML but for characters that YAML refuses, or takes for the end of a line."""
    return NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def keyed_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """The inverse, for overrides that `load` has accepted."""
    parts = (text.partition("=") for text in overrides)
    return {key.strip(): parse_yaml(value) for key, _, value in parts}
