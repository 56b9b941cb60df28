// Program files: what is written is read back; whatever else is in a file gives an Error.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "check.h"
#include "ops/op.h"
#include "program/file.h"
#include "program/native.h"
#include "program/tensors.h"

using namespace kcore;

namespace {

Array floats(Shape shape, float first) {
  const Array array = Array::empty({DType::float32, shape});
  for (std::int64_t i = 0; i < shape.size(); ++i) static_cast<float*>(array.data())[i] = first + static_cast<float>(i);
  return array;
}

template <class Op>
void add_call(Program& program, const char* name, const Op& op, std::vector<int> inputs) {
  Call call{find_op(name), std::make_shared<const Op>(op), inputs, {}, {}};
  Views views;
  for (int value : inputs) views.emplace_back(nullptr, program.values[value]);
  for (const TensorSpec& spec : infer_op(*call.def, call.attrs.get(), views)) {
    call.outputs.push_back(static_cast<int>(program.values.size()));
    program.values.push_back(spec);
  }
  program.calls.push_back(std::move(call));
}

const std::shared_ptr<Cell> weights = std::make_shared<Cell>("w", floats({3, 2}, -2));
const std::shared_ptr<Cell> total = std::make_shared<Cell>("total", floats({}, 5));

// total += sum(x v + 1), v = w + 1, which depends on a weight alone; gives x v + 1, flattened, and the total before.
std::shared_ptr<const Program> make_program(std::int64_t batch) {
  auto p = std::make_shared<Program>();
  const TensorSpec x{DType::float32, {batch, 3}}, one{DType::float32, {}};
  p->values = {x, weights->value().spec(), total->value().spec(), one};
  p->inputs = {0};
  p->variables = {{weights, 1, -1}, {total, 2, -1}};
  p->constants = {{3, floats({}, 1)}};
  add_call(*p, "add", ops::add{}, {1, 3});                           // 4
  add_call(*p, "matmul", ops::matmul{}, {0, 4});                     // 5
  add_call(*p, "add", ops::add{}, {5, 3});                           // 6
  add_call(*p, "reshape", ops::reshape{.shape = {2 * batch}}, {6});  // 7
  add_call(*p, "sum", ops::sum{}, {7});                              // 8
  add_call(*p, "add", ops::add{}, {2, 8});                           // 9
  p->outputs = {7, 2};
  p->variables[1].after = 9;
  return p;
}

std::string make_file(const std::vector<std::int64_t>& batches) {
  ProgramToWrite program;
  program.name = "serve";
  for (std::int64_t batch : batches) program.programs.push_back(make_program(batch));
  program.batches = batches;
  program.inputs = {"x"};
  program.outputs = {"y", "before"};
  program.test.inputs = {floats({2, 3}, 0)};
  // rows (0 1 2) and (3 4 5) times ((-1 0) (1 2) (3 4)), plus 1
  const Array y = Array::empty({DType::float32, {4}});
  const float expected[] = {8, 11, 17, 29};
  std::memcpy(y.data(), expected, sizeof expected);
  program.test.outputs = {y, floats({}, 5)};
  program.test.batch = batches[0];
  program.test.tolerance = 1e-5;
  const std::string path = concat("program_test_", batches.size(), ".kcore");
  write_programs(path, {program}, {{weights, "w"}, {total, "total"}});
  const std::string bytes = read_bytes(path);
  std::remove(path.c_str());
  return bytes;
}

std::shared_ptr<const NativeProgram> parse(const std::string& bytes, std::int64_t batch = 2) {
  return NativeProgram::parse(bytes.data(), bytes.size(), {"", batch, true, 1 << 24});
}

void test_run() {
  const auto program = parse(make_file({2, 3, 5}), 1);
  CHECK(program->inputs.size() == 1 && program->inputs[0].name == "x" &&
        (program->inputs[0].spec.shape == Shape{1, 3}));
  CHECK(program->outputs.size() == 2 && (program->outputs[0].spec.shape == Shape{2}));
  NativeContext context(program, 1), other(program, 2);
  std::vector<float> x{1, 1, 1}, y(2), before(1);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data(), before.data()};
  for (float expected : {5.0f, 16.0f, 27.0f}) {
    CHECK(context.run(inputs, outputs));
    CHECK(y[0] == 4 && y[1] == 7 && before[0] == expected);
  }
  CHECK(other.run(inputs, outputs) && before[0] == 5);  // state of its own
  context.reset();
  CHECK(context.run(inputs, outputs) && before[0] == 5);
  CHECK(*static_cast<const float*>(context.variable("total").data) == 16);

  context.save("program_test.safetensors");
  other.load("program_test.safetensors");
  std::remove("program_test.safetensors");
  CHECK(other.run(inputs, outputs) && before[0] == 16);
  const std::vector<float> w(6, 1);
  other.set_variable("w", w.data());
  CHECK(other.run(inputs, outputs) && y[0] == 7);
  CHECK(context.run(inputs, outputs) && y[0] == 4);
  CHECK_THROWS(context.variable("v"), "no variable named v");
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos || from.size() != to.size()) {
    std::printf("nothing to replace: %s\n", from.c_str());
    ++failures;
  } else {
    text.replace(at, from.size(), to);
  }
}

std::string with(const std::string& from, const std::string& to) {
  std::string bytes = make_file({2});
  replace(bytes, from, to);
  return bytes;
}

void test_errors() {
  const std::string file = make_file({2});
  CHECK_THROWS(parse(""), "expected a safetensors file");
  CHECK_THROWS(parse(file.substr(0, file.size() - 1)), "truncated");
  CHECK_THROWS(parse(file + "x"), "bytes of data");
  CHECK_THROWS(parse(with("matmul", "matmuk")), "no op is named");
  CHECK_THROWS(parse(with("\\\"inputs\\\":[0,4]", "\\\"inputs\\\":[0,8]")), "number of an earlier value");
  CHECK_THROWS(parse(with("transpose_a", "transpose_x")), "does not have one of the attributes");
  CHECK_THROWS(parse(with("\\\"total\\\"", "\\\"totam\\\"")), "expected a tensor");
  CHECK_THROWS(parse(with("\\\"shape\\\":[2,3]", "\\\"shape\\\":[2,4]")), "[matmul]");
  CHECK_THROWS(parse(with("\\\"shape\\\":[2,3]", "\\\"shape\\\":[2,-]")), "description of a program");
  CHECK_THROWS(parse(with("\\\"version\\\":1", "\\\"version\\\":2")), "version");
  std::string weight = file;
  weight[file.size() - 4 * 12 + 3] ^= 0x40;  // the exponent of one of the floats
  CHECK_THROWS(parse(weight), "self-test");
  CHECK_THROWS(NativeProgram::parse(file.data(), file.size(), {"", 2, true, 8}), "memory");
}

// Bytes changed, lost, doubled; digits changed, so that the JSON stays whole. Each gives an Error or a program that
// runs.
void test_hostile_files() {
  std::mt19937 random(1);
  int refused = 0;
  constexpr int kFiles = 20000;
  const std::string files[] = {make_file({2}), make_file({2, 3, 5})};
  for (int i = 0; i < kFiles; ++i) {
    std::string bytes = files[i % 2];
    const auto within = [&](std::size_t n) { return static_cast<std::size_t>(random() % std::max<std::size_t>(n, 1)); };
    for (std::size_t change = within(3) + 1; change-- > 0;) {
      const std::size_t at = within(bytes.size()), length = within(40);
      switch (random() % 6) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes.resize(at); break;
        case 2: bytes.insert(at, bytes.substr(at, length)); break;
        case 3: bytes.erase(at, length); break;
        default:  // the next digit from there on
          for (std::size_t k = at; k < bytes.size(); ++k)
            if (bytes[k] >= '0' && bytes[k] <= '9') {
              bytes[k] = static_cast<char>('0' + random() % 10);
              break;
            }
      }
      if (bytes.empty()) break;
    }
    if (random() % 2 && bytes.size() > 8) {  // a header of the right length, as an attacker would write
      const std::size_t end = bytes.rfind('}');
      if (end != std::string::npos && end > 8) {
        const std::uint64_t length = (end + 1 - 8 + 7) / 8 * 8;
        if (8 + length <= bytes.size()) std::memcpy(bytes.data(), &length, 8);
      }
    }
    try {
      const std::shared_ptr<const NativeProgram> program =
          NativeProgram::parse(bytes.data(), bytes.size(), {"", 2, false, 1 << 20});
      NativeContext context(program, 1);
      std::vector<Array> x, y;
      std::vector<const void*> from;
      std::vector<void*> to;
      for (const auto& input : program->inputs) x.push_back(Array::empty(input.spec)), from.push_back(x.back().data());
      for (const auto& output : program->outputs) y.push_back(Array::empty(output.spec)), to.push_back(y.back().data());
      context.run(from.data(), to.data());
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > kFiles / 2 && refused < kFiles);
  std::printf("%d of %d hostile files refused\n", refused, kFiles);
}

}  // namespace

int main() {
  test_run();
  test_errors();
  test_hostile_files();
  return failures != 0;
}
