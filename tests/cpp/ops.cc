// The op contract: typed calls, inference on its own, and the checks every call goes through.
#include "kcore/ops.h"

#include <vector>

#include "check.h"
#include "ops/op.h"

using namespace kcore;

static void test_typed_call() {
  std::vector<float> a{1, 2, 3, 4, 5, 6}, row{10, 20, 30}, y(6);
  run(ops::add{}, {{a.data(), {2, 3}}, {row.data(), {3}}}, {{y.data(), {2, 3}}});
  CHECK((y == std::vector<float>{11, 22, 33, 14, 25, 36}));

  run(ops::transpose{.axes = {1, 0}}, {{a.data(), {2, 3}}}, {{y.data(), {3, 2}}});
  CHECK((y == std::vector<float>{1, 4, 2, 5, 3, 6}));
}

static void test_infer() {
  const Views inputs = {{static_cast<float*>(nullptr), {2, 3}}};
  CHECK((infer(ops::reshape{.shape = {3, -1}}, inputs)[0].shape == Shape{3, 2}));
  CHECK(infer(ops::isnan{}, inputs)[0].dtype == DType::boolean);
}

static void test_errors() {
  std::vector<float> a(6), y(6);
  std::vector<double> d(6);
  CHECK_THROWS(run(ops::add{}, {{a.data(), {2, 3}}, {a.data(), {3, 2}}}, {{y.data(), {2, 3}}}),
               "[add] expected shapes that broadcast, received (2, 3) and (3, 2)");
  CHECK_THROWS(run(ops::add{}, {{a.data(), {6}}, {d.data(), {6}}}, {{y.data(), {6}}}),
               "[add] expected b of the same dtype");
  CHECK_THROWS(run(ops::exp{}, {{a.data(), {6}}}, {{y.data(), {5}}}), "[exp] expected output 0");
  CHECK_THROWS(run(ops::exp{}, {}, {{y.data(), {5}}}), "[exp] expected a tensor for x");
  CHECK_THROWS(run(ops::exp{}, {{a.data(), {6}}, {a.data(), {6}}}, {{y.data(), {6}}}), "at most 1 inputs");
  CHECK_THROWS(run(ops::matmul{}, {{a.data(), {2, 2}}, {d.data(), {2, 2}}}, {{y.data(), {2, 2}}}), "[matmul]");
  CHECK_THROWS(run(ops::matmul{}, {{a.data(), {1, 2}}, {a.data() + 2, {2, 2}}}, {{a.data() + 1, {1, 2}}}),
               "[matmul] expected outputs with memory of their own, received output 0 in that of input 0");
  CHECK_THROWS(
      run(ops::matmul{}, {{a.data(), {2, 1}}, {y.data() + 4, {1, 2}}, {}, {y.data(), {2, 2}}}, {{y.data(), {2, 2}}}),
      "received output 0 in that of input 3");
  CHECK_THROWS(run(ops::matmul{.statistics = true}, {{a.data(), {2, 1}}, {a.data() + 2, {1, 2}}},
                   {{y.data(), {2, 2}}, {y.data() + 4, {2}}, {y.data() + 4, {2}}}),
               "received output 2 in that of output 1");
  run(ops::matmul{}, {{a.data(), {2, 1}}, {a.data() + 2, {1, 2}}}, {{y.data(), {2, 2}}});  // inputs may overlap
  CHECK_THROWS(infer(ops::full{.shape = {std::int64_t{1} << 40, std::int64_t{1} << 40}}, {}), "[full]");
}

static void test_bfloat16() {
  const auto of = [](float x) { return bfloat16(x).bits; };
  CHECK(of(1.0f) == 0x3f80 && of(-2.0f) == 0xc000);
  CHECK(of(1.0f + 0x1p-8f) == 0x3f80 && of(1.0f + 0x3p-8f) == 0x3f82);  // ties go to even
  CHECK(of(1.0f + 0x1.01p-8f) == 0x3f81);
  CHECK(of(3.4e38f) == 0x7f80 && of(__builtin_inff()) == 0x7f80);
  CHECK(of(__builtin_bit_cast(float, 0x7f800001)) == 0x7fc0 && of(__builtin_bit_cast(float, 0xffffffff)) == 0xffff);
  // 256 + 1 + 1 in float32, rounded once: 258 needs the last of bfloat16's 8 bits, 257 would have been lost.
  std::vector<bfloat16> x{bfloat16(256), bfloat16(1), bfloat16(1)}, y(1);
  run(ops::sum{}, {{x.data(), {3}}}, {{y.data(), {}}});
  CHECK(static_cast<float>(y[0]) == 258);
  CHECK(infer(ops::exp{}, {{x.data(), {3}}})[0].dtype == DType::bfloat16);
}

static void test_registry() {
  CHECK(find_op("matmul") != nullptr);
  CHECK(find_op("no_such_op") == nullptr);
  for (const OpDef& def : all_ops()) CHECK(!def.outputs.empty());
}

int main() {
  test_typed_call();
  test_infer();
  test_errors();
  test_bfloat16();
  test_registry();
  return failures != 0;
}
