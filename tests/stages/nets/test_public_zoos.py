"""Networks of public zoos have the tensors of their checkpoints, and all their units can be permuted."""

import pytest
import torch
from torch import nn

from stages.errors import UsageError
from stages.nets import public_zoos
from stages.nets.registry import build, example_input
from stages.params.network import Model
from stages.symmetry.derive import derive


def network(factory: str, shape: tuple[int, ...], **kwargs: object) -> Model:
    values = {"model": f"stages.nets.public_zoos:{factory}", "kwargs": kwargs, "input": shape}
    return Model.model_validate(values)


CNN3 = {"architecture": "CNN3", "channels": 3, "activation": "gelu", "dropout": 0.0}
HF = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 8}
CASES = [
    (network("model_zoo_cnn", (1, 28, 28)), 2464, 4),
    (network("model_zoo_cnn", (3, 28, 28), architecture="CNN2", channels=3), 3347, 4),
    (network("model_zoo_cnn", (3, 32, 32), **CNN3), 10853, 4),
    (network("small_cnn", (1, 28, 28)), 4970, 3),
    (network("siren", (2,)), 1185, 2),
    (network("small_transformer", (1, 28, 28), depth=1), 10218, 8),
    (network("hugging_face_classifier", (3, 8, 8), model_type="vit", patch_size=4, num_labels=3, **HF), 1083, 5),
]


@pytest.mark.parametrize(("description", "parameters", "groups"), CASES, ids=lambda case: getattr(case, "model", ""))
def test_networks_have_the_published_size_and_every_unit_can_be_permuted(description, parameters, groups):
    module, example = build(description), example_input(description)
    assert sum(p.numel() for p in module.parameters()) == parameters
    derived = derive(module, example)
    assert (len(derived.symmetry.groups), derived.notes) == (groups, ())


@pytest.mark.parametrize(
    ("dropout", "layers"), [(None, (0, 3, 6, 9, 11)), (0.2, (0, 4, 8, 11, 14))], ids=["without dropout", "with it"]
)
def test_tensors_of_model_zoo_cnns_are_numbered_as_in_their_checkpoints(dropout, layers):
    state = public_zoos.model_zoo_cnn(dropout=dropout).state_dict()
    assert list(state) == [f"module_list.{i}.{part}" for i in layers for part in ("weight", "bias")]


def test_those_of_cnn3_count_its_dropout_layers():
    state = build(network("model_zoo_cnn", (3, 32, 32), **CNN3)).state_dict()
    assert {int(name.split(".")[1]) for name in state} == {0, 4, 8, 13, 16}


def test_activations_are_an_argument_and_an_unknown_one_is_named():
    kinds = {nn.Tanh: "tanh", nn.GELU: "gelu", nn.ReLU: "relu"}
    for kind, name in kinds.items():
        layers = build(network("model_zoo_cnn", (1, 28, 28), activation=name)).modules()
        assert sum(isinstance(layer, kind) for layer in layers) == 4
    with pytest.raises(UsageError, match=r"kwargs\.activation: found 'swish'; expected one of gelu, leakyrelu"):
        build(network("small_cnn", (1, 28, 28), activation="swish"))


def test_a_siren_is_the_sine_of_scaled_products():
    net = public_zoos.siren([2, 3, 1], w0=5.0, shift=0.25)
    x, state = torch.randn(4, 2), net.state_dict()
    hidden = torch.sin(5.0 * (x @ state["seq.0.weight"].T + state["seq.0.bias"]))
    assert torch.allclose(net(x), hidden @ state["seq.1.weight"].T + state["seq.1.bias"] + 0.25, atol=1e-6)


def test_positions_of_a_transformer_are_stored_and_not_learned():
    net = public_zoos.small_transformer(dim=8)
    assert "embedding.pos_embedding" in net.state_dict()
    assert "embedding.pos_embedding" not in dict(net.named_parameters())
    first = net.state_dict()["embedding.pos_embedding"][0]
    assert first.tolist() == [0, 1] * 4, "sin 0 and cos 0 in turn"


def test_a_hugging_face_classifier_has_the_library_s_names_and_gives_logits():
    module = build(CASES[-1][0])
    assert {"classifier.weight", "vit.embeddings.cls_token"} <= module.state_dict().keys()
    assert module.eval()(torch.randn(2, 3, 8, 8)).shape == (2, 3)
