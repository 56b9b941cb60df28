// kcore._core.Array: an immutable array that NumPy can view without copying.
#include "python/array.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <string>

#include "base/check.h"
#include "program/recorder.h"

namespace kcore::python {
namespace {

// NumPy has no bfloat16 of its own: ml_dtypes, imported when the first one is asked for, adds it.
py::dtype numpy_dtype(DType dtype) {
  if (dtype == DType::bfloat16) return py::dtype::from_args(py::module_::import("ml_dtypes").attr("bfloat16"));
  return py::dtype(std::string(name_of(dtype)));
}

DType dtype_of(const py::dtype& dtype) {
  // NumPy makes names anew whenever they are asked for, which takes longer than copying a small array.
  const int size = static_cast<int>(dtype.itemsize());
  switch (dtype.kind()) {
    case 'f':
      if (size == 4) return DType::float32;
      if (size == 8) return DType::float64;
      break;
    case 'i':
      if (size == 4) return DType::int32;
      if (size == 8) return DType::int64;
      break;
    case 'b': return DType::boolean;
    default: break;
  }
  return parse_dtype(py::str(dtype.attr("name")));
}

// A copy of a NumPy array whose dtype is one of ours.
Array from_numpy(const py::array& source) {
  const DType dtype = dtype_of(source.dtype());
  Shape shape;
  for (py::ssize_t i = 0; i < source.ndim(); ++i) shape.push_back(source.shape(i));
  Array out = Array::empty({dtype, shape});
  py::array contiguous = py::array::ensure(source, py::array::c_style);
  if (!contiguous) throw py::error_already_set();
  if (shape.size()) std::memcpy(out.data(), contiguous.data(), static_cast<std::size_t>(contiguous.nbytes()));
  return out;
}

// A read-only view of the array's memory, which it keeps alive.
py::array to_numpy(py::object self) {
  const auto& array = self.cast<const Array&>();
  if (Recorder* recorder = Recorder::active()) recorder->looked_at(array, "numpy");
  if (array.is_symbolic())
    throw Error(
        ErrorKind::value,
        concat("[numpy] a symbolic tensor of shape ", array.shape(),
               " has no values: a layer or function is being traced for its shapes. Use kcore.ops instead of NumPy "
               "or Python control flow on tensor values"));
  py::array out(numpy_dtype(array.dtype()), to_tuple(array.shape()).cast<std::vector<py::ssize_t>>(), array.data(),
                self);
  out.attr("flags").attr("writeable") = false;
  return out;
}

template <class T>
py::object item_as(const Array& a) {
  return py::cast(*static_cast<const T*>(a.data()));
}

// The value of an array of one element as a Python number.
py::object item(const Array& array) {
  if (Recorder* recorder = Recorder::active()) recorder->looked_at(array, "item");
  if (array.is_symbolic())
    throw Error(ErrorKind::value,
                concat("[item] a symbolic tensor of shape ", array.shape(),
                       " has no values: `if`, `float()` and the like cannot depend on tensor values while shapes are "
                       "traced. Use kcore.ops.where, or compute it outside the layer"));
  if (array.shape().size() != 1)
    throw Error(ErrorKind::value, concat("[item] expected a tensor of one element, received shape ", array.shape()));
  switch (array.dtype()) {
    case DType::boolean: return item_as<bool>(array);
    case DType::uint8: return item_as<std::uint8_t>(array);
    case DType::int32: return item_as<std::int32_t>(array);
    case DType::uint32: return item_as<std::uint32_t>(array);
    case DType::int64: return item_as<std::int64_t>(array);
    case DType::float32: return item_as<float>(array);
    case DType::float64: return item_as<double>(array);
    case DType::bfloat16: return py::cast(static_cast<float>(*static_cast<const bfloat16*>(array.data())));
  }
  return py::none();
}

// A 0-d array from a Python number, without going through NumPy.
Array scalar(py::handle value, py::handle dtype_name) {
  const DType dtype = parse_dtype(dtype_name);
  Array out = Array::empty({dtype, Shape{}});
  if (is_floating(dtype)) {
    const double v = PyFloat_AsDouble(value.ptr());
    if (v == -1.0 && PyErr_Occurred()) throw py::error_already_set();
    if (dtype == DType::float32)
      *static_cast<float*>(out.data()) = static_cast<float>(v);
    else if (dtype == DType::bfloat16)
      *static_cast<bfloat16*>(out.data()) = bfloat16(static_cast<float>(v));
    else
      *static_cast<double*>(out.data()) = v;
    return out;
  }
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (v == -1 && PyErr_Occurred()) throw py::error_already_set();
  const auto fits = [&](long long low, long long high) { return !overflow && v >= low && v <= high; };
  bool ok = !overflow;
  switch (dtype) {
    case DType::boolean: *static_cast<bool*>(out.data()) = v != 0; break;
    case DType::uint8: ok = fits(0, 255), *static_cast<std::uint8_t*>(out.data()) = static_cast<std::uint8_t>(v); break;
    case DType::int32:
      ok = fits(INT32_MIN, INT32_MAX), *static_cast<std::int32_t*>(out.data()) = static_cast<std::int32_t>(v);
      break;
    case DType::uint32:
      ok = fits(0, UINT32_MAX), *static_cast<std::uint32_t*>(out.data()) = static_cast<std::uint32_t>(v);
      break;
    default: *static_cast<std::int64_t*>(out.data()) = v;
  }
  if (!ok)
    throw Error(ErrorKind::value,
                concat("[scalar] ", py::str(value).cast<std::string>(), " does not fit into ", name_of(dtype)));
  return out;
}

}  // namespace

DType parse_dtype(py::handle name) {
  if (PyUnicode_Check(name.ptr())) {
    const char* text = PyUnicode_AsUTF8(name.ptr());
    if (!text) throw py::error_already_set();
    for (int i = 0; i < kDTypeCount; ++i)
      if (std::strcmp(text, name_of(static_cast<DType>(i))) == 0) return static_cast<DType>(i);
  }
  throw Error(ErrorKind::type,
              concat("[dtype] expected one of bool, uint8, int32, uint32, int64, float32, float64, bfloat16, received ",
                     py::repr(name).cast<std::string>()));
}

Shape parse_shape(py::handle dims) {
  Shape shape;
  for (py::handle item : dims) {
    const std::int64_t dim = item.cast<std::int64_t>();
    if (dim < 0) throw Error(ErrorKind::value, concat("[shape] expected dimensions of 0 or more, received ", dim));
    shape.push_back(dim);
  }
  return shape;
}

py::tuple to_tuple(const Shape& shape) {
  py::tuple out(shape.rank());
  for (int i = 0; i < shape.rank(); ++i) out[i] = py::int_(shape[i]);
  return out;
}

void bind_array(py::module_& m) {
  py::class_<Array> array(m, "Array", "An immutable, contiguous, row-major array; symbolic if it has no data.");
  array.def_property_readonly("shape", [](const Array& a) { return to_tuple(a.shape()); })
      .def_property_readonly("dtype", [](const Array& a) { return name_of(a.dtype()); })
      .def_property_readonly("is_symbolic", &Array::is_symbolic)
      .def_property_readonly("nbytes", [](const Array& a) { return a.shape().size() * size_of(a.dtype()); })
      .def("numpy", &to_numpy, "A read-only NumPy view.")
      .def("item", &item, "The Python number in an array of one element.");
  bind_dlpack(m, array);
  m.def("from_numpy", &from_numpy, py::arg("source"), "A copy of a NumPy array.");
  m.def("scalar", &scalar, py::arg("value"), py::arg("dtype"), "A 0-d array from a Python number.");
  m.def(
      "symbolic",
      [](py::handle shape, py::handle dtype) { return Array::symbolic({parse_dtype(dtype), parse_shape(shape)}); },
      py::arg("shape"), py::arg("dtype"), "An array with a shape and a dtype and no data: ops on it only infer.");
}

}  // namespace kcore::python
