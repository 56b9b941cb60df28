"""What tests of all folders share; makes the helpers beside them importable from subfolders."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# Before anything imports Keras: a first import that fails for want of TensorFlow leaves half of it behind.
os.environ.setdefault("KERAS_BACKEND", "jax")


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where tests run in the background of a shell, which ignores it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)
