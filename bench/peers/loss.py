"""Cross-entropies, one loss per row."""

import torch.nn.functional as F

from . import LABELS, SAME, peer


@peer("softmax_cross_entropy")
def softmax_cross_entropy(logits, target):
    rows = logits.reshape(-1, logits.shape[-1])
    target = target.reshape(rows.shape if target.is_floating_point() else -1)
    return F.cross_entropy(rows, target, reduction="none").reshape(logits.shape[:-1])


peer("sparse_softmax_cross_entropy", inputs=(SAME, LABELS))(softmax_cross_entropy)


def _normalized(p, epsilon):
    return (p / p.sum(-1, keepdim=True)).clamp(epsilon, 1 - epsilon)


@peer("cross_entropy")
def cross_entropy(probabilities, target, epsilon):
    return -(target * _normalized(probabilities, epsilon).log()).sum(-1)


@peer("sparse_cross_entropy", inputs=(SAME, LABELS))
def sparse_cross_entropy(probabilities, labels, epsilon):
    return -_normalized(probabilities, epsilon).gather(-1, labels[..., None]).log().squeeze(-1)


@peer("sigmoid_cross_entropy")
def sigmoid_cross_entropy(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


@peer("binary_cross_entropy")
def binary_cross_entropy(probabilities, target, epsilon):
    return F.binary_cross_entropy(probabilities.clamp(epsilon, 1 - epsilon), target, reduction="none")
