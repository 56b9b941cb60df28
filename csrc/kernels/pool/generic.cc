// The table of pooling kernels.
#include "kernels/pool/average.h"
#include "kernels/pool/max.h"
#include "kernels/pool/max_grad.h"
#include "kernels/pool/pool.h"

namespace kcore::kernels::KCORE_ISA {

const PoolKernels pool_table = {
    {max_rows<float>, max_rows<double>},
    {{find_rows<float, Byte>, find_rows<float, Int>}, {find_rows<double, Byte>, find_rows<double, Int>}},
    {{take_rows<float, Byte>, take_rows<float, Int>}, {take_rows<double, Byte>, take_rows<double, Int>}},
    {{max_grad<float, Byte>, max_grad<float, Int>}, {max_grad<double, Byte>, max_grad<double, Int>}},
    {average_rows<float>, average_rows<double>},
    {average_grad<float>, average_grad<double>}};

}  // namespace kcore::kernels::KCORE_ISA
