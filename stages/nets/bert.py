"""Hugging Face's BERT with token ids as input and one number per text as output."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from stages.params.network import Bert


class Regressor(nn.Module):
    """BERT, a pooled hidden state, and a linear output."""

    def __init__(self, bert: nn.Module, dim: int) -> None:
        """For a BERT of this width, with a pooler of its own or without."""
        super().__init__()
        self.bert = bert
        self.head = nn.Linear(dim, 1)

    def forward(self, ids: Int[Tensor, "examples tokens"]) -> Float[Tensor, " examples"]:
        """One number per text; token id 0 is padding, which nothing attends to."""
        words = ids != 0
        # [examples, 1, 1, tokens] is the mask as attention takes it: nothing looks at its values to choose a path.
        segments = torch.zeros_like(ids)
        output = self.bert(input_ids=ids, attention_mask=words[:, None, None, :], token_type_ids=segments)
        pooled = output.pooler_output
        if pooled is None:
            weights = words.unsqueeze(-1).to(output.last_hidden_state.dtype)
            pooled = (output.last_hidden_state * weights).sum(1) / weights.sum(1).clamp_min(1)
        return self.head(pooled).squeeze(-1)


def build(network: Bert) -> Regressor:
    """The module, with Hugging Face's initialisation."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=network.vocabulary,
        max_position_embeddings=network.length,
        hidden_size=network.dim,
        num_hidden_layers=network.depth,
        num_attention_heads=network.heads,
        intermediate_size=network.mlp,
        hidden_dropout_prob=network.dropout,
        attention_probs_dropout_prob=network.dropout,
        type_vocab_size=1,  # a text is one segment
        pad_token_id=0,
    )
    return Regressor(BertModel(config, add_pooling_layer=network.pool == "first"), network.dim)
