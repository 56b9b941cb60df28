// Runs chains: each step calls the kernel that its op would call, on a tile.
#include "ops/chain.h"

#include <algorithm>

#include "base/parallel.h"
#include "ops/stream.h"

namespace kcore {
namespace {

constexpr std::int64_t kTileBytes = 4096;  // of the widest result
constexpr std::int64_t kStreamGrain = 1 << 16;

std::shared_ptr<void> make_attrs() { return std::make_shared<ChainAttrs>(); }
void visit_attrs(void*, AttrVisitor&) {}
// Programs make chains of calls that were checked.
void infer(const void*, Infer& c) { c.fail("runs inside a program only"); }

// An input as tiles read it.
struct Source {
  const char* data;
  std::int64_t size;    // of an element
  std::int64_t period;  // elements until it repeats; 0: one element for all
  const char* at(std::int64_t element) const { return period ? data + element % period * size : data; }
};

void run(const void* attrs, Run& c) {
  const auto& chain = *static_cast<const ChainAttrs*>(attrs);
  const std::vector<ChainStep>& steps = chain.steps;
  const std::int64_t n = c.out(0).shape.size();
  std::int64_t widest = 1, bytes = 0;
  double cost = 0;
  for (const ChainStep& step : steps) {
    widest = std::max(widest, size_of(step.dtype));
    cost += step.kernel.unary ? 3.0 : 0.3;
    if (step.output >= 0) bytes += n * size_of(step.dtype);
  }
  const std::int64_t tile = kTileBytes / widest;
  auto* sources = c.scratch<Source>(c.size());
  for (int k = 0; k < c.size(); ++k) {
    const std::int64_t count = c.shape(k).size(), size = size_of(c.dtype(k));
    sources[k] = {c.input<char>(k), size, count == 1 ? 0 : count};
    bytes += count * size;
    if (count == 1 || count == n) continue;
    // Repeated so often that a tile finds it in one piece wherever it begins.
    char* repeated = c.scratch<char>((count + tile) * size);
    for (std::int64_t i = 0; i < count + tile; i += count)
      std::copy_n(sources[k].data, std::min(count, count + tile - i) * size, repeated + i * size);
    sources[k].data = repeated;
  }

  const bool stream = exceeds_cache(bytes);
  const std::int64_t grain = stream ? kStreamGrain : (grain_for(cost) + tile - 1) / tile * tile;
  parallel_ranges(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const auto& copy = kernels::copy();
    char* const slots = static_cast<char*>(thread_scratch(static_cast<std::size_t>(chain.slots * kTileBytes)));
    for (std::int64_t first = begin; first < end; first += tile) {
      const std::int64_t count = std::min(tile, end - first);
      const auto place = [&](const ChainStep& step) {
        return c.output<char>(step.output) + first * size_of(step.dtype);
      };
      const auto result = [&](const ChainStep& step) {
        return step.output >= 0 && !stream ? place(step) : slots + step.slot * kTileBytes;
      };
      for (const ChainStep& step : steps) {
        const char* in[3];
        std::int64_t stride[3];
        for (std::size_t k = 0; k < step.inputs.size(); ++k) {
          const int input = step.inputs[k];
          const bool made = input >= ChainStep::kResult;
          in[k] = made ? result(steps[static_cast<std::size_t>(input - ChainStep::kResult)]) : sources[input].at(first);
          stride[k] = made || sources[input].period ? 1 : 0;
        }
        step.kernel(in, stride, result(step), count);
        if (stream && step.output >= 0)
          copy.stream_out(place(step), result(step), count * size_of(step.dtype), nullptr, 0);
      }
    }
    if (stream) copy.stream_end();
  });
}

}  // namespace

const OpDef& chain_def() {
  static const OpDef def = {"chain", {"xs*"}, {"ys*"}, &make_attrs, &visit_attrs, &infer, &run, false, true};
  return def;
}

bool can_chain(const OpDef& def) {
  // The kernels of these decide for blocks of elements, which a tile may cut in another way.
  for (const char* name : {"sin", "cos", "tan", "mod", "floor_divide"})
    if (&def == find_op(name)) return false;
  return def.is_elementwise || &def == find_op("cast");
}

void prepare_chain(ChainAttrs& chain, const std::vector<DType>& dtypes) {
  const std::size_t count = chain.steps.size();
  std::vector<std::size_t> last(count);  // the step that reads a result last
  for (std::size_t s = 0; s < count; ++s)
    for (int input : chain.steps[s].inputs)
      if (input >= ChainStep::kResult) last[static_cast<std::size_t>(input - ChainStep::kResult)] = s;
  std::vector<std::size_t> free_after;  // for each slot
  for (std::size_t s = 0; s < count; ++s) {
    ChainStep& step = chain.steps[s];
    std::size_t slot = 0;
    while (slot < free_after.size() && free_after[slot] >= s) ++slot;
    if (slot == free_after.size()) free_after.push_back(0);
    free_after[slot] = std::max(last[s], s);
    step.slot = static_cast<int>(slot);
    const int x = step.inputs.back();
    step.kernel = elementwise_kernel(*step.def, step.attrs.get(),
                                     x < ChainStep::kResult
                                         ? dtypes[static_cast<std::size_t>(x)]
                                         : chain.steps[static_cast<std::size_t>(x - ChainStep::kResult)].dtype);
  }
  chain.slots = static_cast<int>(free_after.size());
}

bool may_share(const ChainAttrs& chain, int input, int output) {
  bool written = false;
  for (const ChainStep& step : chain.steps) {
    if (written && std::find(step.inputs.begin(), step.inputs.end(), input) != step.inputs.end()) return false;
    written = written || step.output == output;
  }
  return true;
}

}  // namespace kcore
