// The attention family compiled for one ISA.
#include "kernels/attention/attention.h"
#include "kernels/attention/backward.h"
#include "kernels/attention/few.h"
#include "kernels/attention/forward.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
constexpr AttentionTable<T> kTable = {forward<T>, few<T>, merge<T>, dots<T>, backward<T>};

}  // namespace

const AttentionKernels attention_table = {kTable<float>, kTable<double>};

}  // namespace kcore::kernels::KCORE_ISA
