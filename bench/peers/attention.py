"""Attention as PyTorch has it: heads before positions, in the memory order that projections give."""

import torch

from peers import Layout, peer

HEADS = Layout(lambda x: x.transpose(1, 2), lambda x: x.transpose(1, 2))


@peer("attention", inputs=[HEADS] * 3, outputs=[HEADS])
def attention(query, key, value, bias=None, mask=None, scale=1.0, causal=False):
    if bias is not None and mask is not None:
        raise NotImplementedError
    return torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=bias if mask is None else mask,
        is_causal=causal,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
