// The recurrent family compiled for one ISA.
#include <type_traits>

#include "kernels/gemm/tiles.h"
#include "kernels/rnn/gru.h"
#include "kernels/rnn/lstm.h"
#include "kernels/rnn/simple.h"
#include "kernels/rnn/tile.h"
#include "kernels/rnn/tile_packed.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class Step, auto kernel, class Block>
void run(const Block& block) {
  Step::begin();
  kernel(block);
  Step::end();
}

// The kernels of an arithmetic; none where the ISA has no tile for it.
template <class T, Arithmetic arithmetic>
constexpr RnnFunctions<T> functions() {
  using Tile = typename TileOf<T, arithmetic>::type;
  if constexpr (std::is_void_v<Tile>) {
    return {};
  } else {
    using Step = std::conditional_t<arithmetic == Arithmetic::fma, InPlace<T>, Packed<Tile>>;
    return {packed_bytes<Step>,        pack_panels<Step>,          Step::operand_bytes,
            run<Step, lstm<Step>>,     run<Step, lstm_grad<Step>>, run<Step, gru<Step>>,
            run<Step, gru_grad<Step>>, run<Step, simple<Step>>,    run<Step, simple_grad<Step>>};
  }
}

}  // namespace

const RnnKernels rnn_table = {{functions<float, Arithmetic::fma>(), functions<float, Arithmetic::bf16>(),
                               functions<float, Arithmetic::bf16x3>(), functions<float, Arithmetic::bf16x6>()},
                              functions<double, Arithmetic::fma>()};

}  // namespace kcore::kernels::KCORE_ISA
