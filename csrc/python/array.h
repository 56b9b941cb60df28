// Conversions between kcore arrays and Python's: NumPy, DLPack, shapes, dtypes.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>  // in every file, so that all agree on how vectors are converted

#include "base/array.h"

namespace kcore::python {

namespace py = pybind11;

DType parse_dtype(py::handle name);
Shape parse_shape(py::handle dims);
py::tuple to_tuple(const Shape& shape);

void bind_array(py::module_& m);
void bind_dlpack(py::module_& m, py::class_<Array>& array);
void bind_ops(py::module_& m);
void bind_program(py::module_& m);
void bind_control(py::module_& m);
void bind_batches(py::module_& m);
void bind_program_file(py::module_& m);

}  // namespace kcore::python
