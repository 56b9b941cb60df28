// Checks calls of control flow, and runs them: bodies are programs with contexts of their own.
#include "program/control.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/check.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "program/context.h"

namespace kcore {
namespace {

std::shared_ptr<void> make_attrs() { return std::make_shared<ControlAttrs>(); }

void visit_none(void*, AttrVisitor&) {}
void visit_while(void* attrs, AttrVisitor& visitor) {
  auto& a = *static_cast<ControlAttrs*>(attrs);
  visitor.visit("carries", a.carries);
  visitor.visit("maximum", a.maximum);
}
void visit_scan(void* attrs, AttrVisitor& visitor) {
  auto& a = *static_cast<ControlAttrs*>(attrs);
  visitor.visit("carries", a.carries);
  visitor.visit("slices", a.slices);
  visitor.visit("length", a.length);
  visitor.visit("reverse", a.reverse);
}
void visit_slices(void* attrs, AttrVisitor& visitor) {
  auto& a = *static_cast<ControlAttrs*>(attrs);
  visitor.visit("slices", a.slices);
  visitor.visit("length", a.length);
  visitor.visit("lanes", a.lanes);
}

// Programs see to calls of control flow; as an op of its own there is none.
void infer_nothing(const void*, Infer& c) { c.fail("runs inside a program only"); }
void run_nothing(const void*, Run& c) { c.fail("runs inside a program only"); }

OpDef define(const char* name, void (*visit)(void*, AttrVisitor&)) {
  return {name, {"xs*"}, {"ys*"}, &make_attrs, visit, &infer_nothing, &run_nothing};
}

const OpDef& cond_def() {
  static const OpDef def = define("cond", &visit_none);
  return def;
}
const OpDef& switch_def() {
  static const OpDef def = define("switch", &visit_none);
  return def;
}
const OpDef& while_def() {
  static const OpDef def = define("while_loop", &visit_while);
  return def;
}
const OpDef& scan_def() {
  static const OpDef def = define("scan", &visit_scan);
  return def;
}

Specs outputs_of(const Program& body) {
  Specs specs;
  for (int value : body.outputs) specs.push_back(body.values[value]);
  return specs;
}

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes && to != from) std::memcpy(to, from, bytes);
}

// Throws "[cond] <parts>".
class Checker {
 public:
  explicit Checker(const OpDef& def) : def_(def) {}
  template <class... Parts>
  void require(bool condition, const Parts&... parts) const {
    if (!condition) throw Error(ErrorKind::value, concat("[", def_.name, "] ", parts...));
  }
  void require_same(const TensorSpec& expected, const TensorSpec& received, const char* what, std::size_t i) const {
    require(expected == received, "expected ", what, " ", i, " of shape ", expected.shape, " and dtype ",
            expected.dtype, ", received ", received.shape, " ", received.dtype);
  }
  void require_scalar(const TensorSpec& spec, DType dtype, const char* what) const {
    require(spec.dtype == dtype && spec.shape.rank() == 0, "expected ", what, " of shape () and dtype ", dtype,
            ", received ", spec.shape, " ", spec.dtype);
  }
  // The bodies take these.
  void require_inputs(const Bodies& bodies, const Specs& inputs) const {
    for (const auto& body : bodies) {
      require(body && body->variables.empty(), "expected bodies without variables");
      require(body->inputs.size() == inputs.size(), "expected a body of ", inputs.size(), " inputs, received one of ",
              body->inputs.size());
      for (std::size_t i = 0; i < inputs.size(); ++i)
        require_same(inputs[i], body->values[body->inputs[i]], "a body's input", i);
    }
  }

 private:
  const OpDef& def_;
};

}  // namespace

const OpDef& slices_def() {
  static const OpDef def = define("slices", &visit_slices);
  return def;
}

const OpDef* find_control(const std::string& name) {
  for (const OpDef* def : {&cond_def(), &switch_def(), &while_def(), &scan_def()})
    if (name == def->name) return def;
  return nullptr;
}

Specs infer_control(const OpDef& def, const ControlAttrs& attrs, const Bodies& bodies, const Specs& inputs) {
  const Checker c(def);
  if (&def == &cond_def() || &def == &switch_def()) {
    const bool cond = &def == &cond_def();
    c.require(cond ? bodies.size() == 2 : !bodies.empty(), "received ", bodies.size(), " bodies");
    c.require(!inputs.empty(), "expected what it depends on, received nothing");
    c.require_scalar(inputs[0], cond ? DType::boolean : DType::int32, cond ? "a condition" : "an index");
    c.require_inputs(bodies, Specs(inputs.begin() + 1, inputs.end()));
    const Specs outputs = outputs_of(*bodies[0]);
    for (const auto& body : bodies) {
      const Specs others = outputs_of(*body);
      c.require(others.size() == outputs.size(), "expected branches of as many outputs, received ", outputs.size(),
                " and ", others.size());
      for (std::size_t i = 0; i < outputs.size(); ++i) c.require_same(outputs[i], others[i], "a branch's output", i);
    }
    return outputs;
  }
  const auto limit = static_cast<std::int64_t>(inputs.size());
  c.require(attrs.carries >= 0 && attrs.slices >= 0 && attrs.carries <= limit && attrs.slices <= limit - attrs.carries,
            "expected at most ", limit, " carries and slices, received ", attrs.carries, " and ", attrs.slices);
  const auto carries = static_cast<std::size_t>(attrs.carries), slices = static_cast<std::size_t>(attrs.slices);
  const bool scan = &def == &scan_def();
  c.require(bodies.size() == (scan ? 1 : 2), "received ", bodies.size(), " bodies");
  Specs stepped = inputs;
  if (scan) {
    c.require(attrs.length >= 0, "expected a length of 0 or more, received ", attrs.length);
    for (std::size_t i = carries; i < carries + slices; ++i) {
      const Shape& shape = inputs[i].shape;
      c.require(shape.rank() > 0 && shape[0] == attrs.length, "expected arrays of ", attrs.length,
                " slices, received shape ", shape);
      Shape slice;
      for (int k = 1; k < shape.rank(); ++k) slice.push_back(shape[k]);
      stepped[i].shape = slice;
    }
  }
  c.require_inputs(bodies, stepped);
  if (!scan) {
    const Specs condition = outputs_of(*bodies[0]);
    c.require(condition.size() == 1, "expected a condition with one output, received ", condition.size());
    c.require_scalar(condition[0], DType::boolean, "a condition");
  }
  Specs outputs = outputs_of(*bodies.back());
  c.require(scan ? outputs.size() >= carries : outputs.size() == carries, "expected a body with ", carries,
            " carries as outputs, received ", outputs.size());
  for (std::size_t i = 0; i < carries; ++i) c.require_same(inputs[i], outputs[i], "the body's output", i);
  for (std::size_t i = carries; i < outputs.size(); ++i) {
    Shape stacked;
    stacked.push_back(attrs.length);
    for (int k = 0; k < outputs[i].shape.rank(); ++k) stacked.push_back(outputs[i].shape[k]);
    outputs[i].shape = stacked;
  }
  return outputs;
}

std::string body_name(const OpDef& def, std::size_t i) {
  if (&def == &cond_def()) return i ? "false" : "true";
  if (&def == &while_def()) return i ? "body" : "while";
  if (&def == &switch_def()) return concat("branch ", i);
  return "body";
}

// A body and where its outputs come from.
struct Control::Body {
  explicit Body(const Program& p) : program(p), plan(plan_memory(p)), context(p, plan), target(plan.fresh.size(), -1) {
    for (std::size_t i = 0; i < p.outputs.size(); ++i) {
      bytes.push_back(bytes_of(p.values[p.outputs[i]]));
      const Place& place = plan.places[plan.roots[p.outputs[i]]];
      if (place.where == Where::fresh && target[place.at] < 0) target[place.at] = static_cast<int>(i);
    }
  }

  // Values that are outputs are computed where those belong; what else is put out is copied.
  void run(const std::vector<void*>& inputs, const std::vector<void*>& outputs) {
    for (const Context::Use& use : context.input) use.view->data = inputs[use.at];
    for (const Context::Use& use : context.fresh) use.view->data = outputs[static_cast<std::size_t>(target[use.at])];
    context.run_calls();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Place& place = plan.places[plan.roots[program.outputs[i]]];
      const void* from = place.where == Where::input      ? inputs[place.at]
                         : place.where == Where::constant ? program.constants[place.at].array.data()
                                                          : outputs[static_cast<std::size_t>(target[place.at])];
      copy(outputs[i], from, bytes[i]);
    }
  }

  const Program& program;
  Plan plan;
  Context context;
  std::vector<int> target;  // for each value that outlives a run, the output in whose memory it is computed
  std::vector<std::size_t> bytes;
  std::vector<void*> in, out;  // addresses of a lane's step
};

Control::Control(const Call& call) : call_(call), attrs_(*static_cast<const ControlAttrs*>(call.attrs.get())) {
  const bool lanes = call.def == &slices_def();
  for (std::int64_t lane = 0; lane < (lanes ? attrs_.lanes : 1); ++lane)
    for (const auto& body : call.bodies) {
      bodies_.push_back(std::make_unique<Body>(*body));
      arena_bytes_ = std::max(arena_bytes_, aligned(bodies_.back()->plan.arena_bytes));
    }
  bytes_ = lanes ? arena_bytes_ * bodies_.size() : arena_bytes_;
  if (call.def != &scan_def() && call.def != &while_def()) return;
  carry_bytes_.assign(bodies_.back()->bytes.begin(), bodies_.back()->bytes.begin() + attrs_.carries);
  for (std::size_t bytes : carry_bytes_) bytes_ += 2 * aligned(bytes);
}

Control::~Control() = default;

void Control::place(void* memory) {
  char* at = static_cast<char*>(memory);
  for (auto& body : bodies_) {
    for (const Context::Use& use : body->context.arena) use.view->data = at + use.at;
    if (call_.def == &slices_def()) at += arena_bytes_;  // others run one after the other
  }
  at += arena_bytes_;
  for (auto& carries : carries_) {
    carries.clear();
    for (std::size_t bytes : carry_bytes_) {
      carries.push_back(at);
      at += aligned(bytes);
    }
  }
}

void Control::run(const Views& inputs, const Views& outputs) {
  const bool branches = call_.def == &cond_def() || call_.def == &switch_def();
  in_.clear();
  out_.clear();
  for (std::size_t i = branches ? 1 : 0; i < inputs.size(); ++i) in_.push_back(inputs[i].data);
  for (const TensorView& view : outputs) out_.push_back(view.data);
  if (call_.def == &while_def()) return run_while();
  if (call_.def == &scan_def()) return run_scan();
  if (call_.def == &slices_def()) return run_slices();
  std::size_t chosen;
  if (call_.def == &cond_def()) {
    chosen = *static_cast<const bool*>(inputs[0].data) ? 0 : 1;
  } else {
    const std::int32_t last = static_cast<std::int32_t>(bodies_.size()) - 1;
    chosen = static_cast<std::size_t>(std::clamp(*static_cast<const std::int32_t*>(inputs[0].data), 0, last));
  }
  bodies_[chosen]->run(in_, out_);
}

void Control::run_while() {
  InterruptPoll poll;
  for (std::int64_t step = 0; attrs_.maximum < 0 || step < attrs_.maximum; ++step) {
    poll();
    bodies_[0]->run(in_, met_at_);
    if (!met_) break;
    const std::vector<void*>& next = carries_[step & 1];
    bodies_[1]->run(in_, next);
    std::copy(next.begin(), next.end(), in_.begin());
  }
  for (std::size_t i = 0; i < out_.size(); ++i) copy(out_[i], in_[i], carry_bytes_[i]);
}

void Control::run_scan() {
  Body& body = *bodies_[0];
  const std::size_t carries = carry_bytes_.size(), slices = static_cast<std::size_t>(attrs_.slices);
  arrays_.assign(in_.begin() + attrs_.carries, in_.begin() + attrs_.carries + attrs_.slices);
  next_ = out_;
  InterruptPoll poll;
  for (std::int64_t step = 0; step < attrs_.length; ++step) {
    poll();
    const auto at = static_cast<std::size_t>(attrs_.reverse ? attrs_.length - 1 - step : step);
    for (std::size_t i = 0; i < slices; ++i)
      in_[carries + i] =
          static_cast<char*>(arrays_[i]) + at * bytes_of(body.program.values[body.program.inputs[carries + i]]);
    for (std::size_t i = 0; i < carries; ++i) next_[i] = step + 1 == attrs_.length ? out_[i] : carries_[step & 1][i];
    for (std::size_t i = carries; i < out_.size(); ++i) next_[i] = static_cast<char*>(out_[i]) + at * body.bytes[i];
    body.run(in_, next_);
    std::copy(next_.begin(), next_.begin() + attrs_.carries, in_.begin());
  }
  if (attrs_.length == 0)
    for (std::size_t i = 0; i < carries; ++i) copy(out_[i], in_[i], carry_bytes_[i]);
}

// A lane takes every lanes-th slice, in memory of its own.
void Control::run_slices() {
  const auto cut = static_cast<std::size_t>(attrs_.slices), lanes = bodies_.size();
  std::exception_ptr failed;
  std::mutex mutex;
  parallel_for(attrs_.lanes, [&](std::int64_t lane) {
    try {
      Body& body = *bodies_[static_cast<std::size_t>(lane)];
      body.in = in_;
      body.out = out_;
      for (auto at = static_cast<std::size_t>(lane); at < static_cast<std::size_t>(attrs_.length); at += lanes) {
        for (std::size_t i = 0; i < cut; ++i)
          body.in[i] = static_cast<char*>(in_[i]) + at * bytes_of(body.program.values[body.program.inputs[i]]);
        for (std::size_t i = 0; i < out_.size(); ++i) body.out[i] = static_cast<char*>(out_[i]) + at * body.bytes[i];
        body.run(body.in, body.out);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failed = std::current_exception();
    }
  });
  if (failed) std::rethrow_exception(failed);
}

}  // namespace kcore
