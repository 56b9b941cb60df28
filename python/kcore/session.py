"""clear_session: forgets the automatic names and the global seed generator, as at the start of a program."""

from __future__ import annotations

import gc

from kcore.autograd.random import reset_default_seed_generator
from kcore.naming import reset_uids


def clear_session(free_memory: bool = True) -> None:
    """Automatic names begin again at `dense`, `dense_1`; the global seed generator is seeded anew.

    Args:
        free_memory: Whether to collect garbage, which frees models that are no longer referenced.

    >>> clear_session()
    """
    reset_uids()
    reset_default_seed_generator()
    if free_memory:
        gc.collect()
