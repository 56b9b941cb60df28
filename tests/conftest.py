"""Makes the helpers beside the tests importable from tests in subfolders."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Before anything imports Keras: a first import that fails for want of TensorFlow leaves half of it behind.
os.environ.setdefault("KERAS_BACKEND", "jax")
