// kcore._core.Cell, Recorder and Program: variables, what listens to a step, and what runs it again.
#include <optional>

#include "base/check.h"
#include "program/executor.h"
#include "program/recorder.h"
#include "python/array.h"

namespace kcore::python {
namespace {

std::shared_ptr<Cell> make_cell(const std::string& name, const Array& value) {
  if (Recorder* recorder = Recorder::active()) {
    if (value.is_symbolic()) recorder->need_values("a variable is made in it with a value that is computed");
    recorder->made();
  }
  CellWatch::note_made();
  return std::make_shared<Cell>(name, value);
}

Array read(const std::shared_ptr<Cell>& cell) {
  Recorder* recorder = Recorder::active();
  const Array value = recorder ? recorder->read(cell) : cell->value();
  CellWatch::note(cell, false);  // after the recorder has given what the cell holds an identity of its own
  return value;
}

void write(const std::shared_ptr<Cell>& cell, const Array& value) {
  if (value.spec() != cell->value().spec())
    throw Error(ErrorKind::value, concat("[Cell] expected a value of shape ", cell->value().shape(), " and dtype ",
                                         cell->value().dtype(), ", received ", value.shape(), " ", value.dtype()));
  Recorder* recorder = Recorder::active();
  if (value.is_symbolic() && !(recorder && recorder->varies(value)))
    throw Error(ErrorKind::value, "[Cell] a symbolic array has no value to hold");
  if (recorder) recorder->read(cell);
  CellWatch::note(cell, true);
  if (recorder)
    recorder->write(cell, value);
  else
    cell->set(value);
}

// For Python's `with`.
struct Quiet {
  std::optional<Unheard> unheard;
};

std::vector<Array> run(Executor& executor, std::vector<Array> inputs) {
  if (Recorder* recorder = Recorder::active()) recorder->need_values("a program runs in it");
  Executor::Step step(executor, std::move(inputs));
  {
    py::gil_scoped_release release;
    step.run();
  }
  if (step.prepare_update()) {
    // To get the lock back may take longer than a short update.
    constexpr std::size_t kLong = std::size_t{8} << 20;
    std::optional<py::gil_scoped_release> release;
    if (step.bytes_to_update() > kLong) release.emplace();
    step.update();
  }
  return step.commit();
}

}  // namespace

void bind_program(py::module_& m) {
  Cell::set_wait([](const std::atomic<bool>& flag) {
    const py::gil_scoped_release release;
    flag.wait(true);
  });
  const auto before_fork = [] {
    hold_updates();
    const py::gil_scoped_release release;
    wait_for_updates();
  };
  py::module_::import("os").attr("register_at_fork")(py::arg("before") = py::cpp_function(before_fork),
                                                     py::arg("after_in_parent") = py::cpp_function(&release_updates),
                                                     py::arg("after_in_child") = py::cpp_function(&release_updates));

  py::register_exception<RecordingError>(m, "RecordingError", PyExc_RuntimeError);
  py::register_exception<NeedsValues>(m, "NeedsValues", PyExc_RuntimeError);

  py::class_<Cell, std::shared_ptr<Cell>>(m, "Cell", "A place whose array changes; all its arrays have one spec.")
      .def(py::init(&make_cell), py::arg("name"), py::arg("value"))
      .def_property_readonly("name", &Cell::name)
      .def_property("value", &read, &write);

  py::class_<Arenas, std::shared_ptr<Arenas>>(m, "Arenas", "Memory that programs which take turns share.")
      .def(py::init<>());

  py::class_<Recorder>(m, "Recorder", "Listens to the ops that run in this thread, from now on.")
      .def(py::init<const std::vector<Array>&, bool, bool>(), py::arg("inputs"), py::arg("fold") = true,
           py::arg("symbolic") = false)
      .def_static(
          "active", [] { return Recorder::active() != nullptr; }, "Whether one listens to this thread.")
      .def_static("of_body", &Recorder::of_body, py::arg("inputs"),
                  "Listens to the function of a loop or a branch in the step that is recorded.")
      .def_static(
          "varies",
          [](const Array& array) {
            const Recorder* recorder = Recorder::active();
            return recorder && recorder->varies(array);
          },
          py::arg("array"), "Whether an array depends on the run of the step that is recorded.")
      .def("finish_body", &Recorder::finish_body, py::arg("outputs"), "The body that was heard.")
      .def_property_readonly("inputs", &Recorder::inputs, "The inputs as the step must use them.")
      .def_property_readonly("has_leaked", &Recorder::has_leaked,
                             "Whether symbolic arrays of the step, which has ended, are still in use.")
      .def("current", &Recorder::current, py::arg("cell"), "What a cell holds now in the step.")
      .def("need_values", &Recorder::need_values, py::arg("what"), "NeedsValues, if it is symbolic.")
      .def_property_readonly("has_made", &Recorder::has_made, "Whether a variable was made meanwhile.")
      .def(
          "finish",
          [](Recorder& recorder, const std::vector<Array>& outputs, const std::shared_ptr<Arenas>& arenas) {
            return std::make_unique<Executor>(recorder.finish(outputs), arenas);
          },
          py::arg("outputs"), py::arg("arenas"), "The program that was heard.")
      .def("before", &Recorder::before, py::arg("cell"), "What a cell held before the step.")
      .def("abort", &Recorder::abort, "Stops, and gives the variables back what they held.");

  py::class_<Quiet>(m, "Unheard", "A context in which no recorder listens to this thread.")
      .def(py::init<>())
      .def("__enter__", [](Quiet& quiet) { quiet.unheard.emplace(); })
      .def("__exit__", [](Quiet& quiet, const py::args&) { quiet.unheard.reset(); });

  py::class_<Executor>(m, "Program", "A recorded step.")
      .def("run", &run, py::arg("inputs"), "Runs it: the outputs, and new values in the variables.")
      .def("__str__", &Executor::to_string)
      .def("__len__", [](const Executor& executor) { return executor.program().calls.size(); })
      .def("summary", &Executor::summary, "How many calls of ops passes have left, and the memory for their values.")
      .def_property_readonly("arena_bytes", [](const Executor& executor) { return executor.plan().arena_bytes; })
      .def_property_readonly("value_bytes", [](const Executor& executor) { return executor.plan().value_bytes; });
}

}  // namespace kcore::python
