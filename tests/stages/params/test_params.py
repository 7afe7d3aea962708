import pytest
from pydantic import ValidationError

from stages.params.base import Params
from stages.params.canonicalize import CanonicalizeParams
from stages.params.dataset import Images, Table, Texts, dataset_from
from stages.params.evaluate import EvaluateParams
from stages.params.fit import PRESETS, FitParams, Pca, Raw, Uniform, Velocity
from stages.params.network import CNN, MLP, Bert, Model, ResNet, ResNet18, ViT, network_from
from stages.params.pack import PackParams
from stages.params.sample import SampleParams
from stages.params.zoo import ZooParams

ZOO = {
    "dataset": "iris",
    "network": {"kind": "mlp", "widths": [4, 8, 3]},
    "members": 3,
    "heldout": 2,
    "recipe": {"lr": 0.01, "batch": 16, "epochs": 3},
}
FIT = {"velocity": {"hidden": 64}, "steps": 100, "batch": 8}
VALID = [
    (ZooParams, ZOO),
    (CanonicalizeParams, {}),
    (PackParams, {}),
    (FitParams, FIT),
    (SampleParams, {"networks": 5}),
    (EvaluateParams, {}),
]
STAGES = pytest.mark.parametrize(("model", "values"), VALID, ids=[model.__name__ for model, _ in VALID])


def problem(model: type[Params], values: dict) -> dict:
    """The one thing that is wrong with these values."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    assert len(caught.value.errors()) == 1
    return dict(caught.value.errors()[0])


def with_value(values: dict, path: tuple[str, ...], value) -> dict:
    head, *rest = path
    inner = with_value(values.get(head, {}), tuple(rest), value) if rest else value
    return {**values, head: inner}


@STAGES
def test_plain_values_are_valid_and_come_back_from_json(model, values):
    params = model.model_validate(values)
    assert model.model_validate_json(params.model_dump_json()) == params


@STAGES
def test_a_name_that_does_not_exist_is_an_error(model, values):
    found = problem(model, {**values, "colour": 1})
    assert (found["type"], found["loc"]) == ("extra_forbidden", ("colour",))


@pytest.mark.parametrize(
    ("model", "values", "path"),
    [
        (ZooParams, ZOO, ("recipe", "learning_rate")),
        (ZooParams, ZOO, ("network", "width")),
        (FitParams, FIT, ("velocity", "layers")),
        (FitParams, FIT, ("optimizer", "momentum")),
        (FitParams, {**FIT, "space": {"kind": "raw"}}, ("space", "components")),
    ],
)
def test_so_is_one_inside_a_section(model, values, path):
    found = problem(model, with_value(values, path, 1))
    assert found["type"] == "extra_forbidden"
    assert found["loc"][0] == path[0]
    assert found["loc"][-1] == path[-1]


@STAGES
def test_params_are_frozen(model, values):
    params = model.model_validate(values)
    name = next(iter(model.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(params, name, getattr(params, name))


def test_sections_are_frozen_too():
    params = ZooParams.model_validate(ZOO)
    with pytest.raises(ValidationError, match="frozen"):
        params.recipe.lr = 1.0
    assert hash(params.network) == hash(MLP(widths=(4, 8, 3)))


@pytest.mark.parametrize(
    ("model", "values", "path", "value"),
    [
        (ZooParams, ZOO, ("members",), -1),
        (ZooParams, ZOO, ("members",), 1),
        (ZooParams, ZOO, ("heldout",), 0),
        (ZooParams, ZOO, ("shard_size",), 0),
        (ZooParams, ZOO, ("max_retries",), -1),
        (ZooParams, ZOO, ("recipe", "lr"), 0),
        (ZooParams, ZOO, ("recipe", "lr"), float("nan")),
        (ZooParams, ZOO, ("recipe", "lr"), float("inf")),
        (ZooParams, ZOO, ("recipe", "batch"), 2.5),
        (ZooParams, ZOO, ("recipe", "epochs"), 0),
        (ZooParams, ZOO, ("initialisations",), []),
        (ZooParams, ZOO, ("initialisations",), ["torch", "zeros"]),
        (ZooParams, ZOO, ("dataset",), "cifar"),
        (ZooParams, ZOO, ("dataset",), 5),
        (ZooParams, ZOO, ("dataset",), {"name": "iris", "validation": 0}),
        (ZooParams, ZOO, ("dataset",), {"name": "iris", "validation": 1}),
        (ZooParams, ZOO, ("dataset",), {"name": "iris", "train": 0}),
        (ZooParams, ZOO, ("dataset",), {"name": "mnist", "channels": 2}),
        (ZooParams, ZOO, ("dataset",), {"name": "reviews", "length": 2}),
        (ZooParams, ZOO, ("network",), {"kind": "mlp", "widths": [4]}),
        (ZooParams, ZOO, ("network",), {"kind": "mlp", "widths": [4, -3, 3]}),
        (ZooParams, ZOO, ("network",), {"kind": "rnn"}),
        (ZooParams, ZOO, ("network",), {"widths": [4, 3]}),
        (ZooParams, ZOO, ("network",), {"kind": "resnet", "blocks": []}),
        (ZooParams, ZOO, ("network",), {"kind": "resnet", "classes": 1}),
        (ZooParams, ZOO, ("network",), {"kind": "vit", "heads": 5}),
        (ZooParams, ZOO, ("network",), {"kind": "vit", "size": 30}),
        (ZooParams, ZOO, ("network",), {"kind": "bert", "heads": 3}),
        (ZooParams, ZOO, ("network",), {"kind": "bert", "dropout": 1}),
        (ZooParams, ZOO, ("network",), {"kind": "model", "model": "resnet34", "input": [3, 8, 8]}),
        (ZooParams, ZOO, ("network",), {"kind": "model", "model": "timm:hf-hub:timm/vit", "input": [3, 8, 8]}),
        (ZooParams, ZOO, ("network",), {"kind": "model", "model": "a:b", "input": [3], "kwargs": {"pretrained": True}}),
        (ZooParams, ZOO, ("network",), {"kind": "model", "model": "a:b", "input": [3], "kwargs": {"weights": "X"}}),
        (CanonicalizeParams, {}, ("probe_examples",), 0),
        (CanonicalizeParams, {}, ("reference",), "last"),
        (PackParams, {}, ("compression",), "zip"),
        (FitParams, FIT, ("steps",), 0),
        (FitParams, FIT, ("velocity",), {"hidden": 1}),
        (FitParams, FIT, ("velocity",), {"hidden": 64, "dropout": 1}),
        (FitParams, FIT, ("velocity",), {"kind": "tokens", "width": 0}),
        (FitParams, FIT, ("ema_decay",), 1),
        (FitParams, FIT, ("path_noise_std",), -0.1),
        (SampleParams, {"networks": 5}, ("networks",), 0),
        (SampleParams, {"networks": 5}, ("method",), "euler2"),
        (EvaluateParams, {}, ("bar_quantile",), 1.1),
    ],
)
def test_values_out_of_bounds_are_named(model, values, path, value):
    found = problem(model, with_value(values, path, value))
    places = tuple(part for part in found["loc"] if part != "plain")  # the kind of a recipe
    assert places[: len(path)] == path
    assert found["type"] != "extra_forbidden"


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (ZooParams, {k: v for k, v in ZOO.items() if k != "members"}),
        (ZooParams, {k: v for k, v in ZOO.items() if k != "network"}),
        (FitParams, {"steps": 100, "batch": 8}),
        (SampleParams, {}),
    ],
)
def test_what_the_paper_fixes_has_no_default(model, values):
    assert problem(model, values)["type"] == "missing"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_in_every_value_that_it_names(preset):
    params = FitParams.model_validate({"preset": preset}).model_dump()
    for name, value in PRESETS[preset].items():
        found = params[name]
        if isinstance(value, dict):
            found = {k: v for k, v in found.items() if k in value}
        assert found == value, name


def test_the_paper_s_settings_for_mnist_mlps():
    params = FitParams.model_validate({"preset": "paper_mlp"})
    assert params.space == Pca(components=99, whiten=False)
    assert params.velocity == Velocity(hidden=512, time_dim=64, dropout=0.1)
    assert (params.source.std, params.source.relative, params.path_noise_std) == (0.01, False, 0.001)
    assert (params.steps, params.batch, params.ema_decay) == (30_000, 8, 0)
    assert (params.optimizer.lr, params.optimizer.final_lr) == (5e-4, 1e-6)


def test_values_beside_a_preset_win_section_by_section():
    params = FitParams.model_validate({"preset": "paper_mlp", "steps": 7, "velocity": {"hidden": 32}})
    assert params.steps == 7
    assert params.velocity == Velocity(hidden=32, time_dim=64, dropout=0.1)
    assert params.batch == 8


def test_a_section_of_the_same_kind_is_completed():
    params = FitParams.model_validate({"preset": "paper_mlp", "space": {"kind": "pca", "components": 5}})
    assert params.space == Pca(components=5, whiten=False)
    same = FitParams.model_validate({"preset": "paper_mlp", "space": {"components": 5}})
    assert same == params


def test_a_section_of_another_kind_replaces_the_whole():
    raw = FitParams.model_validate({"preset": "paper_mlp", "space": {"kind": "raw"}})
    assert raw.space == Raw()
    pca = FitParams.model_validate({"preset": "paper_iris", "space": {"kind": "pca"}})
    assert pca.space == Pca()


def test_a_section_without_a_kind_is_of_the_usual_one():
    assert FitParams.model_validate({**FIT, "space": {"components": 5}}).space == Pca(components=5)
    assert FitParams.model_validate({**FIT, "time": {}}).time == Uniform()


def test_presets_are_values_not_state():
    before = FitParams.model_validate({"preset": "paper_mlp"})
    FitParams.model_validate({"preset": "paper_mlp", "velocity": {"hidden": 2}, "optimizer": {"lr": 1.0}})
    assert FitParams.model_validate({"preset": "paper_mlp"}) == before


def test_a_preset_equals_its_values_written_out():
    assert FitParams.model_validate(PRESETS["paper_mlp"]) == FitParams.model_validate({"preset": "paper_mlp"})


def test_an_unknown_preset_lists_those_there_are():
    assert "'paper' is not one of paper_mlp, paper_iris" in problem(FitParams, {"preset": "paper"})["msg"]


def test_wrong_values_beside_a_preset_are_still_wrong():
    assert problem(FitParams, {"preset": "paper_mlp", "step": 7})["loc"] == ("step",)
    assert problem(FitParams, {"preset": "paper_mlp", "velocity": {"hiden": 7}})["loc"] == ("velocity", "mlp", "hiden")


@pytest.mark.parametrize("name", ["iris", "mnist", "reviews"])
def test_a_bare_name_is_a_data_set_with_defaults(name):
    short, long = (ZooParams.model_validate({**ZOO, "dataset": given}) for given in (name, {"name": name}))
    assert short == long
    assert short.model_dump_json() == long.model_dump_json()


def test_the_name_decides_which_data_set_it_is():
    kinds = {"digits": Table, "svhn": Images, "yelp": Texts}
    assert {name: type(dataset_from({"name": name})) for name in kinds} == kinds


def test_data_sets_come_back_from_a_store_s_attributes():
    for dataset in (Table(name="iris", train=9), Images(name="mnist", size=32, channels=3), Texts(name="reviews")):
        assert dataset_from(dataset.model_dump(mode="json")) == dataset
    with pytest.raises(ValidationError):
        dataset_from({"name": "mnits"})


@pytest.mark.parametrize(
    "network",
    [
        MLP(widths=(4, 8, 3)),
        CNN(widths=(3,)),
        ResNet(blocks=(1, 2), width=4),
        ResNet18(classes=3),
        ViT(dim=6),
        Bert(pool="mean"),
        Model(model="timm:vit_tiny_patch16_224", kwargs={"depth": 2, "norm": [1, None]}, input=(3, 8, 8)),
    ],
)
def test_networks_come_back_from_a_store_s_attributes(network):
    assert hash(network_from(network.model_dump(mode="json"))) == hash(network)
    assert network_from(network.model_dump(mode="json")) == network
    with pytest.raises(ValidationError):
        network_from({"kind": "rnn", "widths": [4, 8, 3]})


@pytest.mark.parametrize("changes", [{"velocity": {"kind": "tokens"}}, {"coupling": "units"}])
def test_what_is_about_tokens_needs_a_space_of_tokens(changes):
    with pytest.raises(ValidationError, match=r"needs fit.space: \{kind: tokens\}, found pca"):
        FitParams.model_validate({**FIT, **changes})
    params = FitParams.model_validate({**FIT, **changes, "space": {"kind": "tokens"}})
    assert params.space.kind == "tokens"
