// Ops on bfloat16 that compute in float32: inputs are widened, the op runs, and its outputs are rounded.
#include "ops/bfloat16.h"

#include <vector>

#include "ops/op.h"

namespace kcore {
namespace {

void convert(const TensorView& from, const TensorView& to) {
  convert(from.data, from.spec.dtype, to.data, to.spec.dtype, from.spec.shape.size());
}

// Views in which float32 memory of its own stands for each bfloat16 one.
struct Widened {
  Views& views;

  Widened(const Views& given, Workspace& workspace, Views& memory) : views(memory) {
    views = given;
    for (TensorView& view : views) {
      if (view.absent || view.spec.dtype != DType::bfloat16) continue;
      view.spec.dtype = DType::float32;
      view.data = workspace.take(static_cast<std::size_t>(view.spec.shape.size() * size_of(DType::float32)));
    }
  }
};

}  // namespace

void run_widened(const OpDef& def, const void* attrs, const Views& inputs, const Views& outputs, Workspace& workspace) {
  thread_local Views x_memory, y_memory;  // kept, so that a run does not allocate
  const Widened x(inputs, workspace, x_memory), y(outputs, workspace, y_memory);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (x.views[i].data != inputs[i].data) convert(inputs[i], x.views[i]);
  Run c(def, x.views, y.views, workspace);
  // Inputs that were bfloat16 lose nothing. What recurrences make on the way and multiply, their states and the
  // gradients of their gates, is rounded to bfloat16 by kernels of such products, as in a step that stores bfloat16.
  c.allow(Precision::medium);
  def.run(attrs, c);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (y.views[i].data != outputs[i].data) convert(y.views[i], outputs[i]);
}

void Run::run_whole_widened(const void* attrs) const { kcore::run_widened(def_, attrs, inputs_, outputs_, workspace_); }

}  // namespace kcore
