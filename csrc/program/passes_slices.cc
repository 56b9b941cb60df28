// Inference on images goes through the whole network a slice of the batch at a time: what one layer hands to the next
// stays in the caches of a core, and threads need not wait for each other after each op.
//
// Taken are the calls, from the inputs on, whose first dimension is the batch and which compute an image of it like any
// other; they become the body of one call. Only where a convolution is among them, the weights are small beside the
// caches, and little leaves them.
#include <algorithm>

#include "base/cache.h"
#include "base/parallel.h"
#include "ops/chain.h"
#include "program/control.h"
#include "program/passes.h"
#include "program/planner.h"

namespace kcore {
namespace {

constexpr std::int64_t kLeastImages = 4, kMostImages = 16;  // of a slice

// What a value is to the calls that are taken.
enum class Is { other, fixed, batched };  // fixed: it does not depend on the inputs of the program

class Slicing {
 public:
  explicit Slicing(Program& program) : program_(program), is_(program.values.size(), Is::other) {}

  void run() {
    if (program_.inputs.empty()) return;
    const Shape& first = shape(program_.inputs[0]);
    if (first.rank() == 0 || first[0] < 2 * kLeastImages) return;
    batch_ = first[0];
    divide();
    if (taken_.size() < 2 ||
        std::none_of(taken_.begin(), taken_.end(), [](const Call& call) { return call.def == find_op("conv"); }))
      return;
    find_ends();
    if (!is_worth_it()) return;

    for (std::int64_t images = std::min(kMostImages, batch_ / 2); images >= kLeastImages; --images)
      if (batch_ % images == 0 && slice(images)) return;
  }

 private:
  const Shape& shape(int value) const { return program_.values[value].shape; }
  bool is_batched(int value) const { return value >= 0 && is_[value] == Is::batched; }

  // Into calls that do not depend on the inputs, those that are taken, and the others, which come after these.
  void divide() {
    for (const Program::Variable& variable : program_.variables)
      if (variable.before >= 0) is_[variable.before] = Is::fixed;
    for (const Program::Constant& constant : program_.constants) is_[constant.value] = Is::fixed;
    for (int value : program_.inputs)
      if (shape(value).rank() > 0 && shape(value)[0] == batch_) is_[value] = Is::batched;
    for (const Call& call : program_.calls) {
      const auto all = [&](auto&& holds) {
        return std::all_of(call.inputs.begin(), call.inputs.end(),
                           [&](int value) { return value < 0 || holds(value); });
      };
      const bool fixed = all([&](int value) { return is_[value] == Is::fixed; });
      const bool taken = !fixed && all([&](int value) { return is_[value] != Is::other; }) && can_slice(call);
      (fixed ? fixed_ : taken ? taken_ : others_).push_back(call);
      for (int value : call.outputs) is_[value] = fixed ? Is::fixed : taken ? Is::batched : Is::other;
    }
  }

  // Whether a call computes each image of the batch alone, and has all of its outputs by image.
  bool can_slice(const Call& call) const {
    const auto is = [&](const char* name) { return call.def == find_op(name); };
    const auto only = [&](std::initializer_list<std::size_t> batched) {  // these inputs and no others
      for (std::size_t i = 0; i < call.inputs.size(); ++i)
        if (call.inputs[i] >= 0 && is_batched(call.inputs[i]) != (std::count(batched.begin(), batched.end(), i) == 1))
          return false;
      return true;
    };
    for (int value : call.outputs)
      if (shape(value).size() > 0 && (shape(value).rank() == 0 || shape(value)[0] != batch_)) return false;
    const int rank = shape(call.outputs[0]).rank();
    if (call.def == &chain_def() || can_chain(*call.def))
      return std::all_of(call.inputs.begin(), call.inputs.end(), [&](int value) {
        if (is_batched(value)) return shape(value).rank() == rank && shape(value)[0] == batch_;
        return shape(value).rank() < rank || shape(value)[0] == 1;
      });
    const int x = call.inputs[0], x_rank = shape(x).rank();
    const auto keeps_batch = [&](const Ints& axes) {
      return !axes.empty() &&
             std::all_of(axes.begin(), axes.end(), [&](std::int64_t axis) { return axis % x_rank != 0; });
    };
    if (is("conv")) return call.outputs.size() == 1 && only({0, 3});
    if (is("matmul"))
      return call.outputs.size() == 1 && only({0, 3}) && shape(call.inputs[1]).rank() == 2 &&
             !static_cast<const ops::matmul*>(call.attrs.get())->transpose_a;
    if (is("max_pool") || is("average_pool")) return true;
    if (is("batch_norm_inference")) return only({0});
    if (is("mean")) return keeps_batch(static_cast<const ops::mean*>(call.attrs.get())->axes);
    if (is("max")) return keeps_batch(static_cast<const ops::max*>(call.attrs.get())->axes);
    if (is("softmax")) return keeps_batch({static_cast<const ops::softmax*>(call.attrs.get())->axis});
    if (is("reshape")) return shape(x).size() / batch_ * batch_ == shape(x).size();
    return false;
  }

  // What the calls that are taken read and do not make; what they make and others read.
  void find_ends() {
    std::vector<char> seen(program_.values.size()), made(program_.values.size());
    const auto note = [&](int value, std::vector<int>& ends) {
      if (!seen[value]) ends.push_back(value);
      seen[value] = true;
    };
    for (const Call& call : taken_) {
      for (int value : call.inputs)
        if (value >= 0 && !made[value]) note(value, is_batched(value) ? sliced_ : whole_);
      for (int value : call.outputs) made[value] = true;
    }
    const auto leaves = [&](int value) {
      if (value >= 0 && made[value]) note(value, outputs_);
    };
    for (const Call& call : others_) std::for_each(call.inputs.begin(), call.inputs.end(), leaves);
    std::for_each(program_.outputs.begin(), program_.outputs.end(), leaves);
    for (const Program::Variable& variable : program_.variables) leaves(variable.after);
  }

  bool is_worth_it() const {
    const auto bytes = [&](const std::vector<int>& values) {
      std::size_t sum = 0;
      for (int value : values) sum += bytes_of(program_.values[value]);
      return sum;
    };
    std::size_t made = 0;
    for (const Call& call : taken_) made += bytes(call.outputs);
    const bool whole =
        std::all_of(outputs_.begin(), outputs_.end(), [&](int value) { return shape(value).size() > 0; });
    const std::size_t cache = cache_sizes().l2;
    return whole && made > cache && bytes(outputs_) * 8 <= made && bytes(whole_) <= 2 * cache;
  }

  TensorSpec cut(int value, std::int64_t images) const {
    TensorSpec spec = program_.values[value];
    if (is_batched(value) && spec.shape.size() > 0) spec.shape[0] = images;
    return spec;
  }

  // The calls for some images.
  std::shared_ptr<Program> body_for(std::int64_t images) const {
    auto body = std::make_shared<Program>();
    std::vector<int> numbers(program_.values.size(), -1);
    const auto add = [&](int value) {
      numbers[value] = static_cast<int>(body->values.size());
      body->values.push_back(cut(value, images));
      return numbers[value];
    };
    for (int value : sliced_) body->inputs.push_back(add(value));
    for (int value : whole_) body->inputs.push_back(add(value));
    for (Call call : taken_) {
      for (int& value : call.inputs) value = value < 0 ? value : numbers[value];
      if (call.def == find_op("reshape")) {
        ops::reshape op = *static_cast<const ops::reshape*>(call.attrs.get());
        op.shape = Ints(cut(call.outputs[0], images).shape.begin(), cut(call.outputs[0], images).shape.end());
        call.attrs = std::make_shared<ops::reshape>(op);
      }
      for (int& value : call.outputs) value = add(value);
      body->calls.push_back(std::move(call));
    }
    for (int value : outputs_) body->outputs.push_back(numbers[value]);
    return body;
  }

  // Does it, if so many images at a time fit into the cache and keep all threads busy.
  bool slice(std::int64_t images) {
    const std::int64_t slices = batch_ / images, threads = num_threads();
    if (slices % threads != 0 && slices < 4 * threads) return false;
    const auto body = body_for(images);
    if (plan_memory(*body).arena_bytes > 2 * cache_sizes().l2) return false;
    ControlAttrs attrs;
    attrs.slices = static_cast<std::int64_t>(sliced_.size());
    attrs.length = slices;
    attrs.lanes = std::min(slices, threads);
    Call call{&slices_def(), std::make_shared<ControlAttrs>(attrs), sliced_, outputs_, {body}};
    call.inputs.insert(call.inputs.end(), whole_.begin(), whole_.end());
    program_.calls = std::move(fixed_);
    program_.calls.push_back(std::move(call));
    program_.calls.insert(program_.calls.end(), others_.begin(), others_.end());
    return true;
  }

  Program& program_;
  std::int64_t batch_ = 0;
  std::vector<Is> is_;
  std::vector<Call> fixed_, taken_, others_;
  std::vector<int> sliced_, whole_, outputs_;
};

}  // namespace

void slice_batch(Program& program) { Slicing(program).run(); }

}  // namespace kcore
