"""Attention against its formula in float64, with all scores in memory; masked scores as in Keras."""

import numpy as np

from .case import Case, booleans, normal

MASKED = -0.7 * float(np.finfo(np.float32).max)  # Keras's for float32


def by_head(x, group=1):
    return np.repeat(np.swapaxes(x, 1, 2), group, axis=1)  # (batch, heads, T, size)


def from_heads(x, group=1):
    batch, heads, length, size = x.shape
    return np.swapaxes(x.reshape(batch, heads // group, group, length, size).sum(2), 1, 2)


def allowed_keys(query, key, mask, causal):
    shape = (query.shape[0], query.shape[2], query.shape[1], key.shape[1])
    allowed = np.ones(shape, bool) if mask is None else np.broadcast_to(mask, shape)
    return allowed & np.tri(*shape[2:], dtype=bool) if causal else allowed


def weights_of(query, key, bias, mask, scale, causal):
    scores = scale * by_head(query) @ np.swapaxes(by_head(key, query.shape[2] // key.shape[2]), -1, -2)
    scores = scores if bias is None else scores + bias
    scores = np.where(allowed_keys(query, key, mask, causal), scores, MASKED)
    with np.errstate(invalid="ignore"):
        e = np.exp(scores - scores.max(-1, keepdims=True))
    return scores, e / e.sum(-1, keepdims=True)


def attention(query, key, value, bias, mask, scale=1.0, causal=False):
    _, weights = weights_of(query, key, bias, mask, scale, causal)
    with np.errstate(invalid="ignore"):
        return from_heads(weights @ by_head(value, query.shape[2] // key.shape[2])), None, None


def attention_scale(query, key, value, bias, mask, scale=1.0, causal=False):
    """An error of one unit in each product of query and key changes a weight by as many units as the product is large."""
    size = abs(scale) * np.abs(query).max() * np.abs(key).max() * np.sqrt(query.shape[-1])
    return np.full((*query.shape[:3], value.shape[-1]), (1 + size) * np.abs(value).max())


def saved(query, key, value, bias, mask, scale=1.0, causal=False):
    """y, maxima and sums, as the forward op hands them to the gradient op."""
    scores, _ = weights_of(query, key, bias, mask, scale, causal)
    maxima = scores.max(-1)
    sums = np.exp(scores - maxima[..., None]).sum(-1)
    return [attention(query, key, value, bias, mask, scale, causal)[0], maxima, sums]


def attention_grad(query, key, value, bias, mask, y, maxima, sums, dy, scale=1.0, causal=False):
    group = query.shape[2] // key.shape[2]
    q, k, v, dy = by_head(query), by_head(key, group), by_head(value, group), by_head(dy)
    _, weights = weights_of(query, key, bias, mask, scale, causal)
    dweights = dy @ np.swapaxes(v, -1, -2)
    dscores = weights * (dweights - (weights * dweights).sum(-1, keepdims=True))
    dscores = np.where(allowed_keys(query, key, mask, causal), dscores, 0.0)
    dkey, dvalue = np.swapaxes(dscores, -1, -2) @ q * scale, np.swapaxes(weights, -1, -2) @ dy
    return from_heads(dscores @ k * scale), from_heads(dkey, group), from_heads(dvalue, group)


def products(count):
    """Flops of `count` products of the size of query and key, as many of that of weights and value; half if causal."""

    def flops(inputs, outputs, attrs):
        (batch, queries, heads, size), keys, value_size = inputs[0].shape, inputs[1].shape[1], inputs[2].shape[3]
        seen = queries * keys - (queries * (queries - 1) / 2 if attrs.get("causal") and queries == keys else 0)
        return 2.0 * count * batch * heads * seen * (size + value_size)

    return flops


WHY = "sums over the head size change scores, and an exponential turns that into a relative error of the weights"
CASES = []


def add(name, batch, queries, keys, heads, kv_heads, size, value_size, bias=None, mask=None, causal=False, grad=True):
    """Forward and gradient of one shape."""
    query = normal(batch, queries, heads, size, key=("q", name))
    key = normal(batch, keys, kv_heads, size, key=("k", name))
    value = normal(batch, keys, kv_heads, value_size, key=("v", name))
    dy = normal(batch, queries, heads, value_size, key=("dy", name))
    attrs = {"scale": size**-0.5, "causal": causal}
    inputs = [query, key, value, bias, mask]
    CASES.append(
        Case(
            "attention",
            inputs,
            attention,
            attrs,
            ulps=8,
            why=WHY,
            scale=attention_scale,
            flops=products(1),
            grad=grad,
            name=name,
        )
    )
    if name.startswith("masked-rows"):  # such rows save MASKED, which is another number in float64
        return
    # Its own gradient is taken of the formula, which computes y, maxima and sums again: the second gradient of the
    # forward op is what tests it.
    inputs = [*inputs, *saved(*inputs, **attrs), dy]
    CASES.append(
        Case(
            "attention_grad",
            inputs,
            attention_grad,
            attrs,
            ulps=64,
            why=WHY,
            flops=products(2.5),
            wide=(6, 7),
            cached=4,
            grad=False,
            name=name,
        )
    )


def with_one_key(mask):
    """The same mask, with the first key of every query allowed."""
    mask = mask.copy()
    mask[..., 0] = True
    return mask


add("plain", 2, 5, 7, 3, 3, 4, 6)
add("causal", 2, 7, 7, 2, 2, 4, 4, causal=True)
add("causal-more-keys", 1, 3, 9, 2, 2, 4, 4, causal=True)
add("causal-fewer-keys", 1, 9, 4, 2, 2, 4, 4, causal=True)
add("grouped", 2, 6, 5, 6, 2, 3, 5)
add("one-kv-head", 2, 1, 9, 4, 1, 8, 8)  # a step of decoding
add("mask", 2, 6, 5, 4, 2, 3, 3, mask=with_one_key(booleans(2, 4, 6, 5)))
add("key-mask", 3, 6, 5, 2, 2, 3, 3, mask=with_one_key(booleans(3, 1, 1, 5)))
add("bias-mask-causal", 2, 6, 6, 2, 1, 3, 3, normal(1, 2, 6, 6, key="b"), with_one_key(booleans(2, 1, 6, 6)), True)
add("row-bias", 2, 5, 7, 2, 2, 3, 3, normal(2, 1, 5, 1, key="b"))
# Steps of decoding beside keys enough for several parts, with tails of every kind; a part without an allowed key.
add("step-parts", 2, 1, 523, 4, 2, 72, 70, grad=False)
add("step-parts-rows", 1, 3, 1100, 3, 3, 33, 35, normal(1, 3, 3, 1100, key="b"), causal=True, grad=False)
LAST = np.arange(523) > 500
add("step-parts-mask", 1, 2, 523, 4, 2, 80, 64, mask=np.broadcast_to(LAST, (1, 4, 2, 523)), grad=False)
add("masked-rows-step", 1, 2, 523, 4, 2, 64, 64, mask=((np.arange(2) == 1)[:, None] & LAST)[None, None], grad=False)
# Whole rows without a key: the mean of all values.
NONE_ALLOWED = booleans(2, 1, 6, 70) & (np.arange(6) % 2 == 0)[:, None]
add("masked-rows", 2, 6, 70, 2, 2, 3, 3, mask=NONE_ALLOWED)
add("masked-rows-causal", 2, 6, 70, 2, 2, 3, 3, mask=NONE_ALLOWED, causal=True)
# Several blocks of queries and keys, with tails; heads enough for one range of keys each, and few enough for several.
add("blocks", 1, 131, 523, 2, 2, 20, 33, grad=False)
add("blocks-causal", 1, 300, 300, 2, 1, 32, 32, causal=True, grad=False)
add("blocks-many-heads", 3, 50, 140, 12, 12, 16, 16, grad=False)
PADDING = np.arange(523) < 90
add("blocks-mask", 1, 131, 523, 2, 2, 8, 8, mask=np.broadcast_to(PADDING, (1, 1, 1, 523)), grad=False)
WINDOW = np.abs(np.arange(300)[:, None] - np.arange(300)) < 9
add("blocks-window", 1, 300, 300, 2, 2, 8, 8, mask=WINDOW[None, None], causal=True, grad=False)
add("blocks-bias", 2, 131, 140, 4, 2, 8, 8, normal(1, 4, 131, 140, key="b"), grad=False)
