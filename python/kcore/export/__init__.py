"""Export: models as programs in files, for C++ applications without Python, and for Python too.

Receives models from `models`, hands programs to `csrc/program`. Nothing of the package imports it when it loads.
"""

from kcore.export.archive import ExportArchive, export_model
from kcore.export.program import Program, load
from kcore.export.training import training_program
from kcore.export.weights import load_weights, save_weights

__all__ = ["ExportArchive", "Program", "export_model", "load", "load_weights", "save_weights", "training_program"]
