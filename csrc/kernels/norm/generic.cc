// The table of normalization kernels.
#include "kernels/norm/columns.h"
#include "kernels/norm/norm.h"
#include "kernels/norm/rows.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
constexpr NormTable<T> kTable = {moments<T>,    merge_moments<T>,  coefficients<T>,      apply<T>,
                                 grad_sums<T>,  merge_sums<T>,     grad_coefficients<T>, grad_apply<T>,
                                 layer_rows<T>, layer_grad_rows<T>};

}  // namespace

const NormKernels norm_table = {kTable<float>, kTable<double>};

}  // namespace kcore::kernels::KCORE_ISA
