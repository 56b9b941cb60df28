// The table of pooling kernels.
#include "kernels/pool/average.h"
#include "kernels/pool/max.h"
#include "kernels/pool/pool.h"

namespace kcore::kernels::KCORE_ISA {

const PoolKernels pool_table = {{max_rows<float>, max_rows<double>},
                                {take_rows<float>, take_rows<double>},
                                {max_grad<float>, max_grad<double>},
                                {average_rows<float>, average_rows<double>},
                                {average_grad<float>, average_grad<double>}};

}  // namespace kcore::kernels::KCORE_ISA
