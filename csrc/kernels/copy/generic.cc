// The table of the copying kernels for one ISA.
#include "kernels/copy/copy.h"
#include "kernels/stream.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

void stream_block(void* y, const void* block, std::int64_t bytes, const Ahead* ahead, int count) {
  stream_out(y, block, bytes, ahead, count);
}
void end() { stream_end(); }

}  // namespace

extern const CopyKernels copy_table = {stream_block, end};

}  // namespace kcore::kernels::KCORE_ISA
