// Nothing in a file is trusted: each number is checked where it is used, each call by its op's infer.
#include <algorithm>
#include <cmath>
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
  throw Error(ErrorKind::value, concat("[load] ", parts...));
}

// What nlohmann says of a missing name or a wrong type, as an Error.
template <class Body>
auto checked(Body&& body) {
  try {
    return body();
  } catch (const json::exception& error) {
    fail("expected the description of a program, received something else: ", error.what());
  } catch (const std::bad_alloc&) {
    fail("not enough memory for the program");
  }
}

// The same with numbers in place of what depends on the batch.
json for_batch(const json& value, std::int64_t batch) {
  if (is_per_batch(value)) {
    std::int64_t number;
    if (__builtin_mul_overflow(integer(value.at(kPerBatch), kPerBatch), batch, &number) ||
        __builtin_add_overflow(number, integer(value.at(kPlus), kPlus), &number))
      fail("a batch of ", batch, " is too large");
    return number;
  }
  if (!value.is_structured()) return value;
  json result = value;
  for (json& part : result) part = for_batch(part, batch);
  return result;
}

using Tensors = std::unordered_map<std::string, Array>;
using Cells = std::unordered_map<std::string, std::shared_ptr<Cell>>;

class Reader {
 public:
  Reader(const Tensors& tensors, const Cells& cells, std::size_t limit)
      : tensors_(tensors), cells_(cells), left_(limit) {}

  Program program(const json& j, int depth = 0) {
    if (depth > 16) fail("expected loops and branches less than 16 deep");
    Program program;
    for (const json& input : list(j, "inputs")) {
      program.inputs.push_back(add(program, spec_of(input)));
    }
    std::vector<const json*> written;
    for (const json& variable : list(j, "variables")) {
      const auto found = cells_.find(variable.at("name").get<std::string>());
      if (found == cells_.end()) fail("expected a tensor for variable ", variable.at("name").dump());
      for (const Program::Variable& other : program.variables)
        if (other.cell == found->second) fail("received variable ", found->first, " twice");
      const int before = variable.at("read").get<bool>() ? add(program, found->second->value().spec()) : -1;
      program.variables.push_back({found->second, before, -1});
      written.push_back(&variable.at("after"));
    }
    if (depth && !program.variables.empty()) fail("expected bodies without variables");
    for (const json& name : list(j, "constants")) {
      const Array& array = tensor(name);
      program.constants.push_back({add(program, array.spec()), array});
    }
    for (const json& call : list(j, "calls")) program.calls.push_back(this->call(program, call, depth));
    for (const json& output : list(j, "outputs")) program.outputs.push_back(value(program, output.at("value")));
    for (std::size_t i = 0; i < written.size(); ++i) {
      if (written[i]->is_null()) continue;
      Program::Variable& variable = program.variables[i];
      variable.after = value(program, *written[i]);
      const TensorSpec &expected = variable.cell->value().spec(), &received = program.values[variable.after];
      if (expected != received)
        fail("expected a new value of shape ", expected.shape, " and dtype ", expected.dtype, " for variable ",
             variable.cell->name(), ", received ", received.shape, " ", received.dtype);
    }
    return program;
  }

  const Array& tensor(const json& name) const {
    const auto found = tensors_.find(name.get<std::string>());
    if (found == tensors_.end()) fail("expected a tensor ", name.dump(), ", received none of that name");
    return found->second;
  }

  static const json& list(const json& j, const char* name) {
    const json& found = j.at(name);
    if (!found.is_array()) fail("expected a list of ", name, ", received ", found.type_name());
    return found;
  }

 private:
  static TensorSpec spec_of(const json& j) {
    TensorSpec spec{dtype_named(j.at("dtype")), {}};
    for (const json& dim : list(j, "shape")) {
      spec.shape.push_back(integer(dim, "a size"));
      if (spec.shape.last() < 0) fail("expected sizes of 0 or more, received ", dim.dump());
    }
    return spec;
  }

  // A new value; its size counts.
  int add(Program& program, const TensorSpec& spec) {
    std::size_t bytes = static_cast<std::size_t>(size_of(spec.dtype));
    bool fits = true;
    for (std::int64_t dim : spec.shape)  // zeros last: what they multiply must fit as well
      if (dim > 0) fits = fits && !__builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes);
    if (!fits || bytes > left_) fail("its values take more than the memory that it may use");
    left_ -= bytes;
    program.values.push_back(spec);
    return static_cast<int>(program.values.size()) - 1;
  }

  static int value(const Program& program, const json& j) {
    const std::int64_t number = integer(j, "the number of a value");
    if (number < 0 || number >= static_cast<std::int64_t>(program.values.size()))
      fail("expected the number of an earlier value, received ", number);
    return static_cast<int>(number);
  }

  Call call(Program& program, const json& j, int depth) {
    const auto name = j.at("op").get<std::string>();
    Call call;
    const OpDef* const control = find_control(name);
    call.def = control ? control : find_op(name);
    if (!call.def) fail("no op is named ", j.at("op").dump(), "; the file is of a later version of kcore, or damaged");
    const std::shared_ptr<void> attrs = call.def->make_attrs();
    AttrReader reader(call.def->name, j.at("attrs"));
    call.def->visit_attrs(attrs.get(), reader);
    reader.finish();
    call.attrs = attrs;
    Views views;
    for (const json& input : list(j, "inputs")) {
      const bool absent = input == -1;
      call.inputs.push_back(absent ? -1 : value(program, input));
      views.push_back(absent ? TensorView() : TensorView(nullptr, program.values[call.inputs.back()]));
    }
    if (j.contains("bodies"))
      for (const json& body : list(j, "bodies"))
        call.bodies.push_back(std::make_shared<Program>(this->program(body, depth + 1)));
    if (control) {
      Specs specs;
      for (const TensorView& view : views) {
        if (view.absent) fail("expected all inputs of ", name);
        specs.push_back(view.spec);
      }
      for (const TensorSpec& spec :
           infer_control(*control, *static_cast<const ControlAttrs*>(attrs.get()), call.bodies, specs))
        call.outputs.push_back(add(program, spec));
      return call;
    }
    if (!call.bodies.empty()) fail("expected no bodies of ", name);
    for (const TensorSpec& spec : infer_op(*call.def, attrs.get(), views)) call.outputs.push_back(add(program, spec));
    return call;
  }

  const Tensors& tensors_;
  const Cells& cells_;
  std::size_t left_;
};

}  // namespace

struct ProgramFile::Contents {
  json programs;
  Tensors tensors;
  Cells cells;
  std::vector<std::shared_ptr<Cell>> variables;

  const json& program(const std::string& name) const {
    if (programs.contains(name)) return programs.at(name);
    std::string names;
    for (const auto& item : programs.items()) names += concat(names.empty() ? "" : ", ", item.key());
    fail("expected one of the programs ", names, ", received ", name);
  }
};

ProgramFile ProgramFile::parse(const void* bytes, std::size_t size) {
  return checked([&] {
    TensorFile file = parse_tensors(bytes, size);
    if (file.program.empty()) fail("expected a file with a program, received tensors only");
    const json description = parse_json(file.program.begin(), file.program.end());
    if (description.at("version") != kVersion)
      fail("expected a file of version ", kVersion, ", received version ", description.at("version").dump());
    auto contents = std::make_shared<Contents>();
    contents->programs = description.at("programs");
    if (!contents->programs.is_object() || contents->programs.empty()) fail("expected programs, received none");
    for (auto& [name, array] : file.tensors) contents->tensors.emplace(name, array);
    for (const auto& [name, program] : contents->programs.items())
      for (const json& variable : Reader::list(program, "variables")) {
        const auto variable_name = variable.at("name").get<std::string>();
        const auto [at, added] = contents->cells.try_emplace(variable_name);
        if (!added) continue;
        const Array& array = Reader(contents->tensors, contents->cells, 0).tensor(variable.at("name"));
        at->second = std::make_shared<Cell>(variable_name, array);
        contents->variables.push_back(at->second);
      }
    ProgramFile result;
    result.contents_ = std::move(contents);
    return result;
  });
}

ProgramFile ProgramFile::read(const std::string& path) {
  const std::string bytes = read_bytes(path);
  return parse(bytes.data(), bytes.size());
}

std::vector<std::string> ProgramFile::names() const {
  std::vector<std::string> names;
  for (const auto& item : contents_->programs.items()) names.push_back(item.key());
  return names;
}

const std::vector<std::shared_ptr<Cell>>& ProgramFile::variables() const { return contents_->variables; }

bool ProgramFile::has_free_batch(const std::string& name) const { return depends_on_batch(contents_->program(name)); }

ProgramFile::Loaded ProgramFile::load(const std::string& name, std::int64_t batch, std::size_t limit) const {
  return checked([&] {
    if (batch < 1) fail("expected a batch of 1 or more, received ", batch);
    const json& written = contents_->program(name);
    Loaded loaded{Reader(contents_->tensors, contents_->cells, limit).program(for_batch(written, batch)), {}, {}};
    const auto batch_axis = [](const json& shape) {
      for (std::size_t i = 0; i < shape.size(); ++i)
        if (is_per_batch(shape[i])) return static_cast<int>(i);
      return -1;
    };
    for (std::size_t i = 0; i < loaded.program.inputs.size(); ++i) {
      const json& input = written.at("inputs").at(i);
      loaded.inputs.push_back({input.at("name").get<std::string>(), loaded.program.values[loaded.program.inputs[i]],
                               batch_axis(input.at("shape"))});
    }
    for (std::size_t i = 0; i < loaded.program.outputs.size(); ++i) {
      const json& output = written.at("outputs").at(i);
      const TensorSpec& spec = loaded.program.values[loaded.program.outputs[i]];
      loaded.outputs.push_back(
          {output.at("name").get<std::string>(), spec, static_cast<int>(integer(output.at("batch_axis"), "an axis"))});
    }
    return loaded;
  });
}

ProgramFile::Test ProgramFile::test(const std::string& name) const {
  return checked([&] {
    const json& j = contents_->program(name).at("test");
    const Reader reader(contents_->tensors, contents_->cells, 0);
    Test test;
    for (const json& input : Reader::list(j, "inputs")) test.inputs.push_back(reader.tensor(input));
    for (const json& output : Reader::list(j, "outputs")) test.outputs.push_back(reader.tensor(output));
    test.batch = integer(j.at("batch"), "batch");
    test.tolerance = j.at("tolerance").get<double>();
    return test;
  });
}

namespace {

template <class T>
double number(const void* data, std::int64_t i) {
  return static_cast<double>(static_cast<const T*>(data)[i]);
}

double number(const Array& array, std::int64_t i) {
  switch (array.dtype()) {
    case DType::boolean: return number<bool>(array.data(), i);
    case DType::uint8: return number<std::uint8_t>(array.data(), i);
    case DType::int32: return number<std::int32_t>(array.data(), i);
    case DType::uint32: return number<std::uint32_t>(array.data(), i);
    case DType::int64: return number<std::int64_t>(array.data(), i);
    case DType::float32: return number<float>(array.data(), i);
    case DType::float64: return number<double>(array.data(), i);
    case DType::bfloat16: return static_cast<float>(static_cast<const bfloat16*>(array.data())[i]);
  }
  return 0;
}

}  // namespace

void check_test(const std::string& name, const ProgramFile::Test& test, const std::vector<Array>& outputs) {
  if (outputs.size() != test.outputs.size()) fail("expected a test of all outputs of ", name);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Array &got = outputs[i], &expected = test.outputs[i];
    if (got.spec() != expected.spec())
      fail("expected output ", i, " of ", name, " with ", expected.dtype(), " ", expected.shape(), ", received ",
           got.dtype(), " ", got.shape());
    const std::int64_t count = got.shape().size();
    double largest = 0, worst = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      const double g = number(got, k), e = number(expected, k);
      if (std::isnan(g) && std::isnan(e)) continue;
      if (g == e) continue;  // infinities among them
      if (std::isfinite(e)) largest = std::fmax(largest, std::fabs(e));
      const double difference = std::fabs(g - e);
      worst = std::isnan(difference) ? INFINITY : std::fmax(worst, difference);
    }
    const double tolerance = is_floating(got.dtype()) ? test.tolerance * (got.dtype() == DType::bfloat16 ? 16 : 1) : 0;
    if (worst > tolerance * std::fmax(largest, 1e-6))
      fail("the self-test of ", name, " failed: output ", i, " differs by ", worst,
           " from what it was where the file "
           "was made, values up to ",
           largest, "; the file is damaged");
  }
}

}  // namespace kcore
