// The table of reductions for one ISA.
#include "kernels/reduce/generic.h"

namespace kcore::kernels::KCORE_ISA {

// One row of a table: a function template over the dtypes of x, in the order of kcore::DType.
#define KCORE_DTYPES(function, Rule)             \
  {function<Rule<std::uint8_t, std::int32_t>>,   \
   function<Rule<std::uint8_t, std::uint32_t>>,  \
   function<Rule<std::int32_t, std::int32_t>>,   \
   function<Rule<std::uint32_t, std::uint32_t>>, \
   function<Rule<std::int64_t, std::int64_t>>,   \
   function<Rule<float, float>>,                 \
   function<Rule<double, double>>,               \
   function<Rule<bfloat16, float>>}
#define KCORE_REDUCTIONS(function)                                                         \
  {KCORE_DTYPES(function, Sum), KCORE_DTYPES(function, Prod), KCORE_DTYPES(function, Max), \
   KCORE_DTYPES(function, Min), KCORE_DTYPES(function, Any),  KCORE_DTYPES(function, All)}
#define KCORE_ARGS(function, Extreme)                                                                  \
  {function<Extreme, std::uint8_t>,  function<Extreme, std::uint8_t>, function<Extreme, std::int32_t>, \
   function<Extreme, std::uint32_t>, function<Extreme, std::int64_t>, function<Extreme, float>,        \
   function<Extreme, double>,        function<Extreme, bfloat16>}

const ReduceKernels reduce_table = {KCORE_REDUCTIONS(reduce_rows), KCORE_REDUCTIONS(reduce_columns),
                                    KCORE_ARGS(arg_rows, Max),     KCORE_ARGS(arg_rows, Min),
                                    KCORE_ARGS(arg_columns, Max),  KCORE_ARGS(arg_columns, Min)};

}  // namespace kcore::kernels::KCORE_ISA
