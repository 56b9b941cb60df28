"""Models: layers put together, trained, saved.

Receives layers and the graph of their calls; hands models to the user. Files are `kcore.saving`'s, which stands above and is
imported where a method needs it.
"""

from kcore.models.cloning import clone_model
from kcore.models.functional import Functional
from kcore.models.model import Model
from kcore.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def __getattr__(name: str):
    if name in ("load_model", "model_from_json", "save_model"):
        from kcore import saving

        return getattr(saving, name)
    raise AttributeError(f"module 'kcore.models' has no attribute {name!r}")
