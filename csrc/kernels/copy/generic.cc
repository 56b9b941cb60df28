// The table of the copying kernels for one ISA.
#include "kernels/copy/copy.h"
#include "kernels/copy/transpose.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

void stream_block(void* y, const void* block, std::int64_t bytes, const Ahead* ahead, int count) {
  stream_out(y, block, bytes, ahead, count);
}
void end() { stream_end(); }

void copy_rows(const void* x_, std::int64_t xs, void* y_, std::int64_t ys, std::int64_t rows, std::int64_t bytes,
               bool around) {
  auto* x = static_cast<const char*>(x_);
  auto* y = static_cast<char*>(y_);
  for (std::int64_t r = 0; r < rows; ++r, x += xs, y += ys) {
    if (around)
      stream_out(y, x, bytes, {{x + 512, bytes}});  // the processor fetches ahead too, but later
    else
      __builtin_memcpy(y, x, static_cast<std::size_t>(bytes));
  }
  if (around) stream_end();
}

}  // namespace

extern const CopyKernels copy_table = {
    stream_block,
    end,
    copy_rows,
    {transpose<std::uint8_t>, transpose<std::uint16_t>, transpose<std::uint32_t>, transpose<std::uint64_t>}};

}  // namespace kcore::kernels::KCORE_ISA
