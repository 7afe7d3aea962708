"""Convolutions, pooling and resizing: channels, and positions in an image."""

from torch.fx import Node

from stages.symmetry.rules.contractions import note_weight, tie_bias
from stages.symmetry.rules.rule import Rule
from stages.symmetry.structure import KERNEL, AxisStructure, Units, fix, mark_not_homogeneous, product, reason, size
from stages.symmetry.trace import Axes, Trace, argument, ordered, shape_of
from stages.symmetry.unification import unify


def convolution(t: Trace, node: Node) -> Axes:
    """With `groups`, inputs are groups x channels and outputs groups x channels; weights [out, in / groups, kernel]."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    groups = Units(int(argument(node, "groups")))
    note_weight(t, node.args[1])
    inputs = product([groups, w[1]])
    unify(w[0], product([groups, Units(size(w[0]) // groups.size)]))
    return _channels_and_positions(t, node, (x, w), inputs, w[0])


def transposed_convolution(t: Trace, node: Node) -> Axes:
    """The adjoint of a convolution: weights [in, out / groups, kernel]."""
    x, w = t.axes(node.args[0]), t.axes(node.args[1])
    groups = Units(int(argument(node, "groups")))
    note_weight(t, node.args[1], outputs=1, inputs=0)
    outputs = product([groups, w[1]])
    unify(w[0], product([groups, Units(size(w[0]) // groups.size)]))
    return _channels_and_positions(t, node, (x, w), w[0], outputs)


def _channels_and_positions(
    t: Trace, node: Node, read: tuple[Axes, Axes], inputs: AxisStructure, outputs: AxisStructure
) -> Axes:
    """What both kinds have in common, once it is known what the weight's axes are."""
    (x, w), length = read, shape_of(node)
    channel = len(x) - len(w) + 1
    unify(x[channel], inputs)
    if int(argument(node, "groups")) > 1:
        mark_not_homogeneous(inputs, outputs)
    tie_bias(t, argument(node, "bias"), outputs)
    fix(*w[2:], by=KERNEL)
    positions = zip(x[channel + 1 :], w[2:], length[channel + 1 :], strict=True)
    return [*x[:channel], outputs, *(_window(axis, size(kernel), n) for axis, kernel, n in positions)]


def either_convolution(t: Trace, node: Node) -> Axes:
    """A convolution or its adjoint."""
    return (transposed_convolution if argument(node, "transposed") else convolution)(t, node)


def _window(axis: AxisStructure, width: int, length: int) -> AxisStructure:
    """Positions seen through a window of this width; a window of one position moves nothing."""
    if width == 1 and size(axis) == length:
        return axis
    return ordered(axis, length) if size(axis) > 1 else Units(length, KERNEL)


def resized(count: int) -> Rule:
    """The rule of pooling and resizing over the last `count` axes; what is reduced to one position has no order.

    Some give the places of the largest values, too.
    """

    def rule(t: Trace, node: Node) -> Axes | tuple[Axes, ...]:
        x, several = t.axes(node.args[0]), isinstance(node.meta["val"], tuple)
        shape = tuple((node.meta["val"][0] if several else node.meta["val"]).shape)
        whole = "adaptive" in str(node.target)
        positions = zip(x[-count:], shape[-count:], strict=True)
        axes = [*x[:-count], *(Units(1) if n == 1 and whole else _window(axis, 0, n) for axis, n in positions)]
        return (axes, axes) if several else axes

    return rule


def shuffled_pixels(t: Trace, node: Node) -> Axes:
    """Channels are channels x positions within a larger pixel."""
    x, r = t.axes(node.args[0]), int(node.args[1])  # type: ignore[call-overload]
    channels = Units(size(x[-3]) // r**2)
    unify(x[-3], product([channels, Units(r**2, KERNEL)]))
    return [*x[:-3], channels, *(_window(axis, 0, r * size(axis)) for axis in x[-2:])]


def unshuffled_pixels(t: Trace, node: Node) -> Axes:
    """The inverse."""
    x, r = t.axes(node.args[0]), int(node.args[1])  # type: ignore[call-overload]
    channels = product([x[-3], Units(r**2, KERNEL)])
    return [*x[:-3], channels, *(_window(axis, 0, size(axis) // r) for axis in x[-2:])]


def unfolded(t: Trace, node: Node) -> Axes:
    """Patches [..., channels x kernel, places] of an image."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    fix(*x[-2:])
    patch = Units(shape[-2] // size(x[-3]), KERNEL)
    return [*x[:-3], product([x[-3], patch]), Units(shape[-1], reason(x[-1]) or reason(x[-2]))]


def folded(t: Trace, node: Node) -> Axes:
    """An image from patches [..., channels x kernel, places]."""
    x, shape = t.axes(node.args[0]), shape_of(node)
    channels = Units(shape[-3])
    unify(x[-2], product([channels, Units(size(x[-2]) // channels.size, KERNEL)]))
    return [*x[:-2], channels, *(ordered(x[-1], n) for n in shape[-2:])]


RULES: dict[Rule, str] = {
    convolution: "conv1d conv2d conv3d",
    transposed_convolution: "conv_transpose1d conv_transpose2d conv_transpose3d",
    either_convolution: "convolution",
    resized(1): "max_pool1d max_pool1d_with_indices avg_pool1d adaptive_avg_pool1d adaptive_max_pool1d "
    "upsample_nearest1d upsample_linear1d",
    resized(2): "max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d "
    "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d _upsample_bilinear2d_aa "
    "_upsample_bicubic2d_aa grid_sampler",
    resized(3): "max_pool3d avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d upsample_nearest3d upsample_trilinear3d",
    shuffled_pixels: "pixel_shuffle",
    unshuffled_pixels: "pixel_unshuffle",
    unfolded: "im2col",
    folded: "col2im",
}
