"""timm's vision transformer, pre-norm with a class token."""

from torch import nn

from stages.params.network import ViT


def build(network: ViT) -> nn.Module:
    """The module, with timm's initialisation."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=network.size,
        patch_size=network.patch,
        in_chans=network.channels,
        num_classes=network.classes,
        embed_dim=network.dim,
        depth=network.depth,
        num_heads=network.heads,
        mlp_ratio=network.mlp_ratio,
    )
