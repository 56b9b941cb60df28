// Ops on bfloat16 that compute in float32: inputs are widened, the op runs, and its outputs are rounded.
#include <vector>

#include "base/parallel.h"
#include "kernels/elementwise/elementwise.h"
#include "ops/op.h"

namespace kcore {
namespace {

constexpr std::int64_t kGrain = 1 << 16;  // elements of one block

void convert(const TensorView& from, const TensorView& to) {
  const auto cast = kernels::elementwise().cast[static_cast<int>(from.spec.dtype)][static_cast<int>(to.spec.dtype)];
  const std::int64_t from_size = size_of(from.spec.dtype), to_size = size_of(to.spec.dtype);
  parallel_ranges(from.spec.shape.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    cast(static_cast<const char*>(from.data) + begin * from_size, static_cast<char*>(to.data) + begin * to_size,
         end - begin, nullptr);
  });
}

// Views in which float32 memory of its own stands for each bfloat16 one.
struct Widened {
  Views views;
  std::vector<std::shared_ptr<void>> memory;

  explicit Widened(const Views& given) : views(given) {
    for (TensorView& view : views) {
      if (view.absent || view.spec.dtype != DType::bfloat16) continue;
      view.spec.dtype = DType::float32;
      memory.push_back(allocate(static_cast<std::size_t>(view.spec.shape.size() * size_of(DType::float32))));
      view.data = memory.back().get();
    }
  }
};

}  // namespace

void run_widened(const OpDef& def, const void* attrs, const Views& inputs, const Views& outputs) {
  const Widened x(inputs), y(outputs);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (x.views[i].data != inputs[i].data) convert(inputs[i], x.views[i]);
  Run c(def, x.views, y.views, Precision::medium);  // which is exact for operands that were bfloat16
  def.run(attrs, c);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (y.views[i].data != outputs[i].data) convert(y.views[i], outputs[i]);
}

}  // namespace kcore
