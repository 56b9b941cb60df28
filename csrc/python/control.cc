// kcore._core.Body, run_control: loops and branches of a step that is recorded, and what their functions do to cells.
#include "program/control.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "base/check.h"
#include "program/executor.h"
#include "program/recorder.h"
#include "python/array.h"

namespace kcore::python {
namespace {

// Contexts for Python's `with`.
struct Watched {
  std::optional<CellWatch> watch;
  std::vector<CellWatch::Touched> touched;
  bool made = false;
};
struct Held {
  std::vector<std::pair<std::shared_ptr<Cell>, Array>> cells;
  std::vector<Array> before;  // of those that no recorder holds
  Recorder* recorder = nullptr;

  void enter() {
    recorder = Recorder::active();
    for (auto& [cell, value] : cells) {
      if (recorder) {
        recorder->hold(cell, value);
      } else {
        before.push_back(cell->value());
        cell->set(value);
      }
    }
  }
  void exit() {
    for (std::size_t i = cells.size(); i-- > 0;) {
      if (recorder)
        recorder->release(cells[i].first);
      else
        cells[i].first->set(before[i]);
    }
    before.clear();
  }
};

// All bodies of a call take what any of them captured: gives that.
std::vector<Array> unite(std::vector<Recorder::Body>& bodies) {
  std::vector<Array> all;
  std::unordered_map<std::uint64_t, std::size_t> index;
  for (const Recorder::Body& body : bodies)
    for (const Array& array : body.captured)
      if (index.try_emplace(array.id(), all.size()).second) all.push_back(array);
  for (Recorder::Body& body : bodies) {
    auto program = std::make_shared<Program>(*body.program);
    const std::size_t given = program->inputs.size() - body.captured.size();
    std::vector<int> inputs(all.size(), -1);
    for (std::size_t i = 0; i < body.captured.size(); ++i)
      inputs[index.at(body.captured[i].id())] = program->inputs[given + i];
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (inputs[i] >= 0) continue;
      inputs[i] = static_cast<int>(program->values.size());
      program->values.push_back(all[i].spec());
    }
    program->inputs.resize(given);
    program->inputs.insert(program->inputs.end(), inputs.begin(), inputs.end());
    body.program = std::move(program);
  }
  return all;
}

bool is_like(const Recorder::Body& a, const Recorder::Body& b) {
  const auto same = [](const auto& xs, const auto& ys, auto equal) {
    return std::equal(xs.begin(), xs.end(), ys.begin(), ys.end(), equal);
  };
  return same(a.captured, b.captured, [](const Array& x, const Array& y) { return x.id() == y.id(); }) &&
         same(a.program->constants, b.program->constants,
              [](const auto& x, const auto& y) {
                const auto bytes = static_cast<std::size_t>(x.array.shape().size() * size_of(x.array.dtype()));
                return x.array.spec() == y.array.spec() &&
                       (bytes == 0 || std::memcmp(x.array.data(), y.array.data(), bytes) == 0);
              }) &&
         to_string(*a.program) == to_string(*b.program);
}

// Runs a loop or a branch, and lets the recorder know.
std::vector<Array> run_control(const std::string& kind, std::vector<Recorder::Body> bodies, std::vector<Array> inputs,
                               const ControlAttrs& given) {
  const OpDef* def = find_control(kind);
  if (!def) throw Error(ErrorKind::value, concat("[run_control] no loop or branch is named ", kind));
  for (Array& array : unite(bodies)) inputs.push_back(std::move(array));
  auto attrs = std::make_shared<ControlAttrs>(given);
  Program once;
  Call call{def, attrs, {}, {}, {}};
  for (Recorder::Body& body : bodies) call.bodies.push_back(body.program);
  Recorder* recorder = Recorder::active();
  Views views;
  bool symbolic = false;
  for (const Array& array : inputs) {
    views.push_back(array.view());
    call.inputs.push_back(static_cast<int>(once.values.size()));
    once.values.push_back(array.spec());
    symbolic = symbolic || array.is_symbolic() || (recorder && recorder->is_body() && recorder->varies(array));
  }
  const Specs specs = infer_control(*def, given, call.bodies, once.values);
  once.inputs = call.inputs;
  for (const TensorSpec& spec : specs) {
    call.outputs.push_back(static_cast<int>(once.values.size()));
    once.values.push_back(spec);
  }
  once.outputs = call.outputs;
  once.calls.push_back(call);
  std::vector<Array> outputs;
  if (symbolic) {
    for (const TensorSpec& spec : specs) outputs.push_back(Array::symbolic(spec));
  } else {
    Executor executor(std::move(once), std::make_shared<Arenas>());
    Executor::Step step(executor, inputs);
    {
      py::gil_scoped_release release;
      step.run();
    }
    outputs = step.commit();
  }
  if (recorder) recorder->called(*def, attrs, views, inputs, outputs, call.bodies);
  return outputs;
}

}  // namespace

void bind_control(py::module_& m) {
  py::class_<Watched>(m, "CellWatch", "A context that notes the cells which are read or written in it.")
      .def(py::init<>())
      .def("__enter__",
           [](Watched& watched) -> Watched& {
             watched.watch.emplace();
             return watched;
           })
      .def("__exit__",
           [](Watched& watched, const py::args&) {
             watched.touched = watched.watch->touched();
             watched.made = watched.watch->has_made();
             watched.watch.reset();
           })
      .def_property_readonly(
          "has_made", [](const Watched& watched) { return watched.made; }, "Whether a cell was made in it.")
      .def_property_readonly(
          "touched",
          [](const Watched& watched) {
            py::list list;
            for (const CellWatch::Touched& touched : watched.watch ? watched.watch->touched() : watched.touched)
              list.append(py::make_tuple(touched.cell, touched.before, touched.written));
            return list;
          },
          "(cell, what it held before, whether it was written) each.");

  py::class_<Held>(m, "Held", "A context in which cells hold other arrays, unheard of by the recorder.")
      .def(py::init([](std::vector<std::pair<std::shared_ptr<Cell>, Array>> cells) {
             return std::make_unique<Held>(Held{std::move(cells), {}, nullptr});
           }),
           py::arg("cells"))
      .def("__enter__", &Held::enter)
      .def("__exit__", [](Held& held, const py::args&) { held.exit(); });

  py::class_<Recorder::Body>(m, "Body", "What a loop or a branch runs.")
      .def("is_like", &is_like, py::arg("other"), "Whether both compute the same of the same arrays.")
      .def("__str__", [](const Recorder::Body& body) { return to_string(*body.program); });
  m.def(
      "run_control",
      [](const std::string& kind, std::vector<Recorder::Body> bodies, std::vector<Array> inputs, std::int64_t carries,
         std::int64_t slices, std::int64_t length, std::int64_t maximum, bool reverse) {
        return run_control(kind, std::move(bodies), std::move(inputs), {carries, slices, length, maximum, reverse});
      },
      py::arg("kind"), py::arg("bodies"), py::arg("inputs"), py::kw_only(), py::arg("carries") = 0,
      py::arg("slices") = 0, py::arg("length") = 0, py::arg("maximum") = -1, py::arg("reverse") = false,
      "Runs a cond, switch, while_loop or scan of recorded bodies; their captured arrays are added to the inputs.");
}

}  // namespace kcore::python
