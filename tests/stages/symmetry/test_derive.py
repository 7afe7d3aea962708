"""Tables are derived from graphs: small networks of every kind of layer, and the architectures people use."""

import pytest
import torch
from attention import Attention
from hypothesis import given, settings
from strategies import TinyNet, tiny_nets
from torch import Tensor, nn
from torch.nn import functional as F

from stages.nets.mlp import build
from stages.symmetry.derive import derive
from stages.symmetry.prove import failures, vacuous_groups
from stages.symmetry.table import Axis, Group, Symmetry

IMAGES = torch.randn(2, 3, 8, 8)
TOKENS = torch.randn(2, 5, 12)


class Residual(nn.Module):
    """Two branches joined by additions, so that their outputs share one order of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.head = (
            nn.Conv2d(i, o, 3, padding=1) for i, o in [(3, 5), (5, 5), (5, 5), (5, 2)]
        )
        self.norm = nn.BatchNorm2d(5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.norm(x + self.b(self.a(x).relu())))


class Branches(nn.Module):
    """Two convolutions whose channels are laid one after the other, and read in one and in two pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1), nn.Conv2d(10, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.a(x), self.b(x)], 1)
        return self.c(both).relu().flatten(1) + both[:, :4].sum((1, 2, 3))[:, None]


class Unknown(nn.Module):
    """A cumulative sum, which no rule knows, over the first layer's units."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(12, 4), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x).cumsum(-1)).relu())


def sizes(symmetry: Symmetry) -> dict[str, int]:
    return {name: group.size for name, group in symmetry.groups.items()}


@settings(max_examples=10)
@given(net=tiny_nets())
def test_an_mlp_s_table_is_the_one_typed_by_hand(net: TinyNet):
    derived = derive(build(net.network), torch.randn(2, net.network.widths[0])).symmetry
    assert list(derived.groups.values()) == list(net.symmetry.groups.values())


@pytest.mark.parametrize("fused", ["apart", "unbind", "index", "chunk"])
def test_heads_hold_dimensions_that_queries_share_with_keys_and_values_with_outputs(fused: str):
    found = derive(Attention(fused), TOKENS)
    assert found.notes == ()
    heads = [name for name, children in found.symmetry.children.items() if children]
    assert len(heads) == 1
    inner = [found.symmetry.groups[child] for child in found.symmetry.children[heads[0]]]
    assert [group.size for group in inner] == [3, 3]
    assert found.symmetry.groups[heads[0]].size == 2
    layers = [{a.tensor.partition(".")[0] for a in group.axes} for group in inner]
    if fused == "apart":
        assert layers == [{"queries", "keys"}, {"values", "out"}]
    else:
        starts = [{a.start for a in group.axes if a.tensor == "qkv.weight"} for group in inner]
        assert starts == [{0, 6}, {12}]  # queries and keys; values
    assert vacuous_groups(Attention(fused), TOKENS, found.symmetry) == []


def test_dimensions_with_weights_of_their_own_are_permuted_alike_in_every_head():
    class Normed(Attention):
        def __init__(self) -> None:
            super().__init__("apart")
            self.norm = nn.LayerNorm(3)

        def forward(self, x: Tensor) -> Tensor:
            b, n, _ = x.shape
            q, k, v = (layer(x).view(b, n, 2, 3).transpose(1, 2) for layer in (self.queries, self.keys, self.values))
            mixed = F.scaled_dot_product_attention(self.norm(q), self.norm(k), v)
            return self.out(mixed.transpose(1, 2).reshape(b, n, 6))

    found = derive(Normed(), TOKENS).symmetry
    shared = next(g for g in found.groups.values() if any(a.tensor == "norm.weight" for a in g.axes))
    assert shared.within is None
    assert {a.start for a in shared.axes if a.tensor == "queries.weight"} == {0, 3}


def test_residual_additions_tie_their_branches_into_one_stream():
    found = derive(Residual(), IMAGES).symmetry
    streams = [group for group in found.groups.values() if group.stream]
    assert len(streams) == 1
    assert {a.tensor.partition(".")[0] for a in streams[0].axes} == {"stem", "a", "b", "norm", "head"}
    assert {a.tensor for a in streams[0].axes if "norm" in a.tensor} == {
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
    }
    assert len(found.groups) == 2


def test_concatenated_channels_keep_their_groups():
    found = derive(Branches(), IMAGES).symmetry
    assert sizes(found) == {"a": 4, "b": 6}
    assert Axis("c.weight", 1, 0, 4, 1) in [a._replace(power=0, flips=False) for a in found.groups["b"].axes]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.Conv2d(3, 6, 3), nn.GroupNorm(1, 6), nn.ReLU(), nn.Conv2d(6, 4, 1)], {"0": 6}),
        ([nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1)], {"0": 6}),
        ([nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)], {"0": 4}),
        ([nn.Conv2d(3, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)], {"0": 6}),
    ],
)
def test_layers_between_convolutions(layers: list[nn.Module], expected: dict[str, int]):
    found = derive(nn.Sequential(*layers), IMAGES)
    assert sizes(found.symmetry) == expected
    assert vacuous_groups(nn.Sequential(*layers), IMAGES, found.symmetry) == []


def test_tied_weights_are_one_tensor():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.words.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.words(ids).relu())

    found = derive(Tied(), torch.randint(0, 7, (2, 5))).symmetry
    assert {name: group.axes for name, group in found.groups.items()} == {"words": (Axis("words.weight", 1),)}


def test_only_what_passes_straight_through_relus_may_be_rescaled():
    chain = nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2))
    powers = {name: [a.power for a in group.axes] for name, group in derive(chain, TOKENS).symmetry.groups.items()}
    assert powers == {"0": [1, 1, -1], "2": [0, 0, 0]}


def test_what_an_unknown_operation_touches_keeps_its_order_and_is_named():
    found = derive(Unknown(), TOKENS)
    assert sizes(found.symmetry) == {"second": 5}
    assert len(found.notes) == 1
    assert "cumsum" in found.notes[0]


def test_a_wrong_table_fails_its_proof_and_names_the_group():
    net = nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    right = derive(net, TOKENS).symmetry
    wrong = Symmetry({**right.groups, "0": Group(4, right.groups["0"].axes[:-1])})
    assert list(failures(net, TOKENS, wrong)) == ["0"]
    assert failures(net, TOKENS, right) == {}


def test_a_group_that_nothing_depends_on_is_no_proof():
    class Unread(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(12, 3), nn.Parameter(torch.randn(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    table = Symmetry({"unused": Group(4, (Axis("unused", 0),))})
    assert failures(Unread(), TOKENS, table) == {}
    assert vacuous_groups(Unread(), TOKENS, table) == ["unused"]


VIT = {
    "img_size": 32,
    "patch_size": 16,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 3,
    "num_classes": 5,
    "init_values": 0.1,
}


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:convnext_atto", "torchvision:mobilenet_v3_small"])
@pytest.mark.filterwarnings("ignore")  # of the libraries' own
def test_well_known_architectures_are_covered_whole_and_proved(name: str):
    import timm
    import torchvision

    library, _, model = name.partition(":")
    options = VIT if "vit" in model else {}
    net = timm.create_model(model, **options) if library == "timm" else torchvision.models.get_model(model)
    images = torch.randn(2, 3, 32, 32)
    found = derive(net, images)
    assert found.notes == ()
    untouched = {n for n, p in net.named_parameters() if p.ndim > 1} - set(found.symmetry.tensors)
    assert untouched == set()
    assert vacuous_groups(net, images, found.symmetry) == []
