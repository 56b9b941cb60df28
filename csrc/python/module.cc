// The extension module kcore._core: arrays, ops, and the settings of the process.
#include <pybind11/pybind11.h>

#include "base/interrupt.h"
#include "base/isa.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/precision.h"
#include "kernels/gemm/select.h"
#include "python/array.h"

namespace py = pybind11;
using namespace kcore;

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compute core of kcore: arrays and the ops of ops.def.";
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const Error& e) {
      PyObject* type = e.kind() == ErrorKind::type    ? PyExc_TypeError
                       : e.kind() == ErrorKind::index ? PyExc_IndexError
                                                      : PyExc_ValueError;
      PyErr_SetString(type, e.what());
    } catch (const std::bad_alloc&) {
      PyErr_SetString(PyExc_MemoryError, "[allocate] not enough memory for the result of this op");
    }
  });
  set_interrupt_check([] {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
  python::bind_array(m);
  python::bind_ops(m);
  python::bind_program(m);
  python::bind_control(m);
  python::bind_batches(m);
  python::bind_program_file(m);

  m.def("isa", [] { return name_of(selected_isa()); }, "The instruction set that kernels are chosen for.");
  m.def("detected_isa", [] { return name_of(detected_isa()); }, "The best instruction set this machine supports.");
  m.def(
      "supported_isas",
      [] {
        py::list names;
        for (int i = 0; i <= static_cast<int>(detected_isa()); ++i) names.append(name_of(static_cast<Isa>(i)));
        return names;
      },
      "The instruction sets this machine supports, each of which includes those before it.");
  m.def("select_isa", &select_isa, py::arg("name"), "Chooses one of supported_isas() for the whole process.");
  m.def("float32_matmul_precision", [] { return name_of(float32_matmul_precision()); });
  m.def("set_float32_matmul_precision", &set_float32_matmul_precision, py::arg("precision"));
  m.def(
      "select_gemm",
      [](const char* isa, const char* precision, bool float32, std::int64_t m, std::int64_t n, std::int64_t k) {
        return kernels::select_gemm({isa_named(isa), precision_named(precision), float32, m, n, k}).name;
      },
      py::arg("isa"), py::arg("precision"), py::arg("float32"), py::arg("m"), py::arg("n"), py::arg("k"),
      "The name of the kernel that multiplies (m, k) by (k, n) where `isa` is the best one.");
  m.def("num_threads", &num_threads, "Threads that an op may use.");
  m.def("set_num_threads", &set_num_threads, py::arg("count"), "Sets the threads that an op may use.");
  m.def("parallel_starts", &parallel_starts, "How often work was spread over several threads so far.");
  m.def("memory_stats", [] {
    const MemoryStats s = memory_stats();
    py::dict out;
    out["in_use"] = s.in_use;
    out["cached"] = s.cached;
    out["peak"] = s.peak;
    return out;
  });
  m.def(
      "log",
      [](const char* topic, const std::string& message) {
        if (log_enabled(topic)) log(topic, message);
      },
      py::arg("topic"), py::arg("message"), "Prints a message if KCORE_LOG names its topic.");
  m.def("release_cached_memory", &release_cached_memory, "Returns cached buffers to the operating system.");
}
