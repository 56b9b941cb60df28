// The recurrent family compiled for one ISA.
#include "kernels/rnn/gru.h"
#include "kernels/rnn/lstm.h"
#include "kernels/rnn/simple.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

template <class T>
constexpr RnnFunctions<T> kFunctions = {pack_panels<T>, lstm<T>,   lstm_grad<T>,  gru<T>,
                                        gru_grad<T>,    simple<T>, simple_grad<T>};

}  // namespace

const RnnKernels rnn_table = {kFunctions<float>, kFunctions<double>};

}  // namespace kcore::kernels::KCORE_ISA
