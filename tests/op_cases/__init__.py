"""THE table: every op of ops.def with shapes, attributes, a float64 oracle and a tolerance with its reason.

One module for each family; what its `CASES` list holds is tested forward, backward, on every ISA and number of threads.
"""

import importlib
import pkgutil

_MODULES = {
    name: importlib.import_module(f"{__name__}.{name}")
    for name in sorted(info.name for info in pkgutil.iter_modules(__path__) if info.name != "case")
}
CASES = [case for module in _MODULES.values() for case in module.CASES]
FAMILIES = {case.op: name for name, module in _MODULES.items() for case in module.CASES}
