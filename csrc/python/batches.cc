// kcore._core.Batches: batches of NumPy arrays, for the loops of training.
#include "base/batches.h"

#include <pybind11/numpy.h>

#include <utility>

#include "base/check.h"
#include "base/parallel.h"
#include "python/array.h"

namespace kcore::python {
namespace {

// Releasing the GIL costs more than copying less than this.
constexpr std::int64_t kWorthReleasing = 1 << 16;

// The dtype that an array's numbers become, float64 in float32 where that is wanted, and how.
std::pair<DType, Conversion> conversion_of(const py::dtype& dtype, bool narrow) {
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  // NumPy makes the names of dtypes anew whenever they are asked for, which takes longer than gathering a small batch.
  if (kind == 'f' && size == 4) return {DType::float32, Conversion::none};
  if (kind == 'f' && size == 8)
    return narrow ? std::pair(DType::float32, Conversion::double_to_float)
                  : std::pair(DType::float64, Conversion::none);
  if (kind == 'i' && size == 1) return {DType::int32, Conversion::int8_to_int32};
  if (kind == 'i' && size == 2) return {DType::int32, Conversion::int16_to_int32};
  if (kind == 'i' && size == 8) return {DType::int64, Conversion::none};
  if (kind == 'u' && size == 2) return {DType::int32, Conversion::uint16_to_int32};
  if (kind == 'u' && size == 8) return {DType::int64, Conversion::uint64_to_int64};
  return {parse_dtype(py::str(dtype.attr("name"))), Conversion::none};
}

struct PyBatches {
  PyBatches(py::list arrays, std::vector<RowSource> sources, std::int64_t rows, std::int64_t batch,
            std::vector<std::int64_t> starts, std::vector<std::int64_t> order, bool ahead, std::int64_t bytes)
      : arrays(std::move(arrays)),
        batches(std::move(sources), rows, batch, std::move(starts), std::move(order), ahead),
        bytes(bytes) {}

  py::list arrays;  // keeps their memory alive, for longer than what reads it
  Batches batches;
  std::int64_t bytes;  // of a batch
};

std::vector<std::int64_t> numbers(const py::array_t<std::int64_t, py::array::c_style>& array) {
  return {array.data(), array.data() + array.size()};
}

std::unique_ptr<PyBatches> make(const py::list& arrays, bool narrow, std::int64_t batch,
                                const py::array_t<std::int64_t, py::array::c_style>& starts, const py::object& order,
                                bool ahead) {
  std::vector<RowSource> sources;
  std::int64_t rows = -1, bytes = 0;
  for (py::handle item : arrays) {
    const auto array = py::cast<py::array>(item);
    const auto [dtype, conversion] = conversion_of(array.dtype(), narrow);
    if (array.ndim() < 1 || (rows >= 0 && array.shape(0) != rows))
      throw Error(ErrorKind::value, concat("[Batches] expected arrays of ", rows, " rows"));
    rows = array.shape(0);
    RowSource source{static_cast<const char*>(array.data()), array.strides(0), conversion, {dtype, Shape{}}};
    std::int64_t step = array.itemsize();
    for (py::ssize_t i = 1; i < array.ndim(); ++i) source.row.shape.push_back(array.shape(i));
    for (py::ssize_t i = array.ndim() - 1; i > 0; step *= array.shape(i--))
      if (array.shape(i) > 1 && array.strides(i) != step)
        throw Error(ErrorKind::value, "[Batches] expected the numbers of a row one after the other");
    bytes += batch * source.row.shape.size() * size_of(dtype);
    sources.push_back(source);
  }
  std::vector<std::int64_t> rows_in_order;
  if (!order.is_none()) rows_in_order = numbers(py::cast<py::array_t<std::int64_t, py::array::c_style>>(order));
  return std::make_unique<PyBatches>(arrays, std::move(sources), rows, batch, numbers(starts), std::move(rows_in_order),
                                     ahead, bytes);
}

std::vector<Array> next(PyBatches& self) {
  if (self.batches.done()) throw py::stop_iteration();
  if (self.bytes < kWorthReleasing) return self.batches.next();
  py::gil_scoped_release release;
  return self.batches.next();
}

}  // namespace

void bind_batches(py::module_& m) {
  m.def("has_spare_cpu", &has_spare_cpu, "Whether this process may use more CPUs than threads compute on.");
  py::class_<PyBatches>(m, "Batches", "An iterator over batches of rows of NumPy arrays: lists of Arrays.")
      .def(py::init(&make), py::arg("arrays"), py::arg("narrow"), py::arg("batch"), py::arg("starts"),
           py::arg("order") = py::none(), py::arg("ahead") = false,
           "Batches of `batch` rows from each of `starts` on; these number the rows of `order`, if given. narrow: "
           "float64 "
           "becomes float32.")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__", &next);
}

}  // namespace kcore::python
