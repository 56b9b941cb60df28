"""THE table: every op of ops.def with shapes, attributes, a float64 oracle and a tolerance with its reason.

One module for each family; what its `CASES` list holds is tested forward, backward, on every ISA and number of threads.
"""

import importlib
import pkgutil

CASES = [
    case
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__) if info.name != "case")
    for case in importlib.import_module(f"{__name__}.{module}").CASES
]
