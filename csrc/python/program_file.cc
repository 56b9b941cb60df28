// kcore._core.Recording, ProgramFile and tensor files: programs of models as files.
#include "base/check.h"
#include "program/executor.h"
#include "program/file.h"
#include "program/native.h"
#include "program/recorder.h"
#include "program/tensors.h"
#include "python/array.h"

namespace kcore::python {
namespace {

// What was recorded, before anything is made of it.
using Recording = std::shared_ptr<const Program>;
struct HeldRecording {
  Recording program;
};

py::list arguments(const std::vector<NamedSpec>& arguments) {
  py::list result;
  for (const NamedSpec& argument : arguments) {
    py::list shape(to_tuple(argument.spec.shape));
    if (argument.batch_axis >= 0) shape[argument.batch_axis] = py::none();
    result.append(py::make_tuple(argument.name, name_of(argument.spec.dtype), py::tuple(shape)));
  }
  return result;
}

ProgramToWrite to_write(const py::dict& d) {
  ProgramToWrite program;
  program.name = d["name"].cast<std::string>();
  for (py::handle recording : d["recordings"]) program.programs.push_back(recording.cast<HeldRecording&>().program);
  program.batches = d["batches"].cast<std::vector<std::int64_t>>();
  program.inputs = d["inputs"].cast<std::vector<std::string>>();
  program.outputs = d["outputs"].cast<std::vector<std::string>>();
  program.test.inputs = d["test_inputs"].cast<std::vector<Array>>();
  program.test.outputs = d["test_outputs"].cast<std::vector<Array>>();
  program.test.batch = program.batches.front();
  program.test.tolerance = d["tolerance"].cast<double>();
  return program;
}

}  // namespace

void bind_program_file(py::module_& m) {
  py::class_<HeldRecording>(m, "Recording", "A program as it was recorded.")
      .def(py::init([](Recorder& recorder, const std::vector<Array>& outputs) {
             return HeldRecording{std::make_shared<const Program>(recorder.finish(outputs))};
           }),
           py::arg("recorder"), py::arg("outputs"))
      .def("__str__", [](const HeldRecording& recording) { return to_string(*recording.program); })
      .def_property_readonly("cells", [](const HeldRecording& recording) {
        std::vector<std::shared_ptr<Cell>> cells;
        for (const Program::Variable& variable : recording.program->variables) cells.push_back(variable.cell);
        return cells;
      });

  m.def(
      "write_programs",
      [](const std::string& path, const std::vector<py::dict>& programs,
         const std::vector<std::pair<std::shared_ptr<Cell>, std::string>>& variables) {
        std::vector<ProgramToWrite> all;
        for (const py::dict& program : programs) all.push_back(to_write(program));
        write_programs(path, all, variables);
      },
      py::arg("path"), py::arg("programs"), py::arg("variables"), "Writes recordings as a program file.");
  m.def(
      "write_tensors",
      [](const std::string& path, const std::vector<std::pair<std::string, Array>>& tensors) {
        write_tensors(path, {tensors, ""});
      },
      py::arg("path"), py::arg("tensors"), "Writes named arrays as a safetensors file.");
  m.def(
      "read_tensors", [](const std::string& path) { return read_tensors(path).tensors; }, py::arg("path"),
      "The named arrays of a safetensors file.");
  m.def(
      "check_program",
      [](const py::bytes& bytes, const std::string& name, std::int64_t batch, bool self_test,
         std::size_t memory_limit) {
        const std::string text = bytes;
        return NativeProgram::parse(text.data(), text.size(), {name, batch, self_test, memory_limit})->to_string();
      },
      py::arg("bytes"), py::arg("name") = "", py::arg("batch") = 1, py::arg("self_test") = true,
      py::arg("memory_limit") = 0, "Loads a program as an application does: the ops of a file that is in order.");

  py::class_<ProgramFile>(m, "ProgramFile", "Programs in a file, and the variables that they share.")
      .def(py::init(&ProgramFile::read), py::arg("path"))
      .def(
          "check",
          [](const ProgramFile& file, const std::string& name) {
            NativeOptions options;
            options.name = name;
            options.batch = file.test(name).batch;
            NativeProgram(file, options);
          },
          py::arg("name"), "Runs the self-test of a program.")
      .def_property_readonly("names", &ProgramFile::names)
      .def_property_readonly("variables", &ProgramFile::variables)
      .def(
          "load",
          [](const ProgramFile& file, const std::string& name, std::int64_t batch,
             const std::shared_ptr<Arenas>& arenas) {
            ProgramFile::Loaded loaded = file.load(name, batch, std::size_t{1} << 60);
            const py::list inputs = arguments(loaded.inputs), outputs = arguments(loaded.outputs);
            return py::make_tuple(std::make_unique<Executor>(std::move(loaded.program), arenas), inputs, outputs);
          },
          py::arg("name"), py::arg("batch"), py::arg("arenas"),
          "The program for a size of the batch; its inputs and outputs: (name, dtype, shape).");
}

}  // namespace kcore::python
