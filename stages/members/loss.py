"""The training loss of a stack of members."""

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own abbreviation

VECTOR_WIDTH = 16
"""Numbers in a processor's vector: with fewer classes the loss is six times as fast by class, and equal to the bit."""
IGNORE_INDEX = -100
"""The class that torch's cross-entropy leaves out."""


def loss(outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Each member's mean over its batch, cross-entropy (nats) or squared error, summed over members.

    `outputs` are [members, batch, classes] or [members, batch], `targets` [members, batch].
    """
    if targets.is_floating_point():
        return F.mse_loss(outputs, targets, reduction="sum") / targets.shape[1]
    logits, classes = outputs.flatten(0, 1), targets.flatten()
    if logits.shape[1] < VECTOR_WIDTH:
        logits, classes = _by_class(logits, classes)
    return F.cross_entropy(logits, classes, reduction="sum", label_smoothing=label_smoothing) / targets.shape[1]


def _by_class(logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The same as [1, classes, examples] and [1, examples], which fill a processor's vectors as short rows don't.

    Ignored examples pad the last vector, and gradients come back laid out as `logits` are: otherwise both would be
    rounded in another way.
    """
    if logits.requires_grad:
        logits.register_hook(Tensor.contiguous)
    padding = -len(classes) % VECTOR_WIDTH
    return F.pad(logits.T, (0, padding))[None], F.pad(classes, (0, padding), value=IGNORE_INDEX)[None]
