"""DropoutRNNCell: masks that stay the same for a whole sequence."""

from __future__ import annotations

from kcore import ops, random


class DropoutRNNCell:
    """Mixin for cells with `dropout`, `recurrent_dropout` and a `seed_generator`.

    A mask is drawn once and kept until it is reset, which `RNN` does for every sequence (Gal and Ghahramani, arXiv
    1512.05287). `dropout_mask_count` masks are drawn where each gate has its own; 1 gives one mask, not a list.
    """

    dropout_mask_count: int | None = None
    _dropout_mask = None
    _recurrent_dropout_mask = None

    def _draw(self, like, rate: float):
        ones = ops.ones_like(like)
        masks = [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(self.dropout_mask_count or 1)]
        return masks if self.dropout_mask_count else masks[0]

    def get_dropout_mask(self, step_input):
        """The mask or masks of the inputs, `(batch, features)`; None without dropout."""
        if self._dropout_mask is None and self.dropout > 0:
            self._dropout_mask = self._draw(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input):
        """The mask or masks of the state, `(batch, units)`; None without recurrent dropout."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._recurrent_dropout_mask = self._draw(step_input, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """The next use draws anew."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """The next use draws anew."""
        self._recurrent_dropout_mask = None


def masked(x, mask):
    """`x` with a dropout mask, if there is one."""
    return x if mask is None else ops.multiply(x, mask)
