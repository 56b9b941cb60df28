// Recordings for several sizes of the batch become one program: numbers that differ are lines through these sizes.
#include <cstring>
#include <unordered_map>

#include "base/check.h"
#include "program/control.h"
#include "program/file.h"
#include "program/file_format.h"
#include "program/tensors.h"

namespace kcore {
namespace {

using namespace file_format;

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(ErrorKind::value, concat("[export] ", parts...));
}

json shape_of(const TensorSpec& spec) { return std::vector<std::int64_t>(spec.shape.begin(), spec.shape.end()); }

using Names = std::unordered_map<const Cell*, std::string>;

class Writer {
 public:
  Writer(const Names& names, std::string prefix) : names_(names), prefix_(std::move(prefix)) {}

  json program(const Program& program, const std::vector<std::string>& inputs,
               const std::vector<std::string>& outputs) {
    std::vector<int> numbers(program.values.size(), -1);
    int next = 0;
    json j{{"inputs", json::array()},
           {"variables", json::array()},
           {"constants", json::array()},
           {"calls", json::array()},
           {"outputs", json::array()}};
    for (std::size_t i = 0; i < program.inputs.size(); ++i) {
      const TensorSpec& spec = program.values[program.inputs[i]];
      numbers[program.inputs[i]] = next++;
      j["inputs"].push_back({{"name", inputs.at(i)}, {"dtype", name_of(spec.dtype)}, {"shape", shape_of(spec)}});
    }
    for (const Program::Variable& variable : program.variables) {
      if (variable.before >= 0) numbers[variable.before] = next++;
      const auto found = names_.find(variable.cell.get());
      if (found == names_.end()) fail("variable ", variable.cell->name(), " has no name in the file");
      j["variables"].push_back({{"name", found->second}, {"read", variable.before >= 0}, {"after", nullptr}});
    }
    for (const Program::Constant& constant : program.constants) {
      numbers[constant.value] = next++;
      constants.emplace_back(concat(prefix_, "/constants/", constants.size()), constant.array);
      j["constants"].push_back(constants.back().first);
    }
    for (const Call& call : program.calls) {
      json written{{"op", call.def->name}, {"inputs", json::array()}};
      for (int value : call.inputs) written["inputs"].push_back(value < 0 ? -1 : numbers[value]);
      AttrWriter writer;
      call.def->visit_attrs(const_cast<void*>(call.attrs.get()), writer);  // the writer only reads
      written["attrs"] = writer.attrs;
      for (const auto& body : call.bodies)
        written["bodies"].push_back(this->program(*body, unnamed(body->inputs.size()), unnamed(body->outputs.size())));
      if (!find_op(call.def->name) && !find_control(call.def->name)) fail("a file cannot hold ", call.def->name);
      for (int value : call.outputs) numbers[value] = next++;
      j["calls"].push_back(std::move(written));
    }
    for (std::size_t i = 0; i < program.variables.size(); ++i)
      if (program.variables[i].after >= 0) j["variables"][i]["after"] = numbers[program.variables[i].after];
    for (std::size_t i = 0; i < program.outputs.size(); ++i)
      j["outputs"].push_back({{"name", outputs.at(i)}, {"value", numbers[program.outputs[i]]}, {"batch_axis", -1}});
    return j;
  }

  std::vector<std::pair<std::string, Array>> constants;

 private:
  static std::vector<std::string> unnamed(std::size_t count) { return std::vector<std::string>(count); }
  const Names& names_;
  std::string prefix_;
};

// The sizes of the batch that programs were recorded with.
using Batches = std::vector<std::int64_t>;

[[noreturn]] void fail_to_merge(const std::string& where) {
  fail(
      "the model cannot have a free batch: what it computes depends on the size of the batch in another way than "
      "linearly, at ",
      where, ". Give input_signature a fixed batch size");
}

json merge(const std::vector<const json*>& values, const Batches& batches, const std::string& where) {
  const json& first = *values[0];
  bool same = true, integers = true;
  for (const json* value : values) {
    same = same && *value == first;
    integers = integers && value->is_number_integer();
    if (value->type() != first.type() && !(value->is_number_integer() && first.is_number_integer()))
      fail_to_merge(where);
    if (first.is_structured() && value->size() != first.size()) fail_to_merge(where);
  }
  if (same) return first;
  if (integers) {
    const auto at = [&](std::size_t i) { return values[i]->get<std::int64_t>(); };
    const std::int64_t slope = (at(1) - at(0)) / (batches[1] - batches[0]), offset = at(0) - slope * batches[0];
    for (std::size_t i = 0; i < values.size(); ++i)
      if (slope * batches[i] + offset != at(i)) fail_to_merge(where);
    return {{kPerBatch, slope}, {kPlus, offset}};
  }
  if (!first.is_structured()) fail_to_merge(where);
  json merged = first.is_array() ? json::array() : json::object();
  for (const auto& item : first.items()) {
    std::vector<const json*> parts;
    const auto index = first.is_array() ? static_cast<std::size_t>(std::stoull(item.key())) : 0;
    for (const json* value : values) {
      if (!first.is_array() && !value->contains(item.key())) fail_to_merge(where);
      parts.push_back(first.is_array() ? &(*value)[index] : &(*value)[item.key()]);
    }
    const std::string deeper =
        first.is_object() && first.contains("op") ? first["op"].get<std::string>() + " " : where + "/";
    json part = merge(parts, batches, deeper + item.key());
    if (first.is_array())
      merged.push_back(std::move(part));
    else
      merged[item.key()] = std::move(part);
  }
  return merged;
}

bool same_bytes(const Array& a, const Array& b) {
  const auto bytes = static_cast<std::size_t>(a.shape().size() * size_of(a.dtype()));
  return a.spec() == b.spec() && (bytes == 0 || std::memcmp(a.data(), b.data(), bytes) == 0);
}

void note_batch_axes(json& outputs, const std::vector<std::shared_ptr<const Program>>& programs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Shape &a = programs[0]->values[programs[0]->outputs[i]].shape,
                &b = programs[1]->values[programs[1]->outputs[i]].shape;
    for (int k = a.rank(); k-- > 0;)
      if (a[k] != b[k]) outputs[i]["batch_axis"] = k;
  }
}

}  // namespace

void write_programs(const std::string& path, const std::vector<ProgramToWrite>& programs,
                    const std::vector<std::pair<std::shared_ptr<Cell>, std::string>>& variables) {
  Names names;
  for (const auto& [cell, name] : variables) names[cell.get()] = name;
  std::unordered_map<std::string, bool> used;
  TensorFile file;
  json description{{"version", kVersion}, {"programs", json::object()}};
  for (const ProgramToWrite& entry : programs) {
    std::vector<json> written;
    std::vector<std::pair<std::string, Array>> constants;
    for (const auto& program : entry.programs) {
      Writer writer(names, entry.name);
      written.push_back(writer.program(*program, entry.inputs, entry.outputs));
      if (written.size() == 1) {
        constants = writer.constants;
      } else {
        if (constants.size() != writer.constants.size()) fail_to_merge("its constants");
        for (std::size_t i = 0; i < constants.size(); ++i)
          if (!same_bytes(constants[i].second, writer.constants[i].second)) fail_to_merge("a constant");
      }
    }
    std::vector<const json*> parts;
    for (const json& j : written) parts.push_back(&j);
    json j = parts.size() > 1 ? merge(parts, entry.batches, "") : written[0];
    if (parts.size() > 1) note_batch_axes(j["outputs"], entry.programs);
    j["test"] = {{"inputs", json::array()},
                 {"outputs", json::array()},
                 {"batch", entry.test.batch},
                 {"tolerance", entry.test.tolerance}};
    const auto add_test = [&](const char* what, const std::vector<Array>& arrays) {
      for (std::size_t i = 0; i < arrays.size(); ++i) {
        constants.emplace_back(concat(entry.name, "/test/", what, "/", i), arrays[i]);
        j["test"][what].push_back(constants.back().first);
      }
    };
    add_test("inputs", entry.test.inputs);
    add_test("outputs", entry.test.outputs);
    file.tensors.insert(file.tensors.end(), constants.begin(), constants.end());
    for (const Program::Variable& variable : entry.programs[0]->variables)
      if (std::string& name = names.at(variable.cell.get()); !std::exchange(used[name], true))
        file.tensors.emplace_back(name, variable.cell->value());
    description["programs"][entry.name] = std::move(j);
  }
  file.program = description.dump(-1, ' ', false, json::error_handler_t::replace);
  write_tensors(path, file);
}

}  // namespace kcore
