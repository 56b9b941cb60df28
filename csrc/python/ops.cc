// run(): the one call that computes. Attributes are parsed from a dict, and listed for the stubs, by visiting ops.def.
#include <pybind11/pybind11.h>

#include "ops/op.h"
#include "program/recorder.h"
#include "python/array.h"

namespace kcore::python {
namespace {

// Lists the attributes of an op as (name, type) pairs.
class Describer : public AttrVisitor {
 public:
  void visit(const char* name, bool&) override { add(name, "bool"); }
  void visit(const char* name, std::int64_t&) override { add(name, "int"); }
  void visit(const char* name, double&) override { add(name, "float"); }
  void visit(const char* name, Ints&) override { add(name, "list[int]"); }
  void visit(const char* name, DType&) override { add(name, "str"); }
  void visit(const char* name, std::string&) override { add(name, "str"); }
  py::list attrs;

 private:
  void add(const char* name, const char* type) { attrs.append(py::make_tuple(name, type)); }
};

// Fills attributes from a dict; names what is unknown or of the wrong type.
class DictReader : public AttrVisitor {
 public:
  DictReader(const char* op, const py::dict& dict) : op_(op), dict_(dict) {}

  void visit(const char* name, bool& value) override { read(name, "a bool", value); }
  void visit(const char* name, std::int64_t& value) override { read(name, "an int", value); }
  void visit(const char* name, double& value) override { read(name, "a float", value); }
  void visit(const char* name, Ints& value) override { read(name, "a list of ints", value); }
  void visit(const char* name, std::string& value) override { read(name, "a string", value); }
  void visit(const char* name, DType& value) override {
    if (py::handle item = find(name)) value = parse_dtype(item);
  }

  // Raises for entries of the dict that no attribute asked for.
  void finish(const OpDef& def, void* attrs) const {
    if (found_ == dict_.size()) return;
    Describer describer;
    def.visit_attrs(attrs, describer);
    throw Error(ErrorKind::type, concat("[", op_, "] has attributes ", py::repr(describer.attrs).cast<std::string>(),
                                        ", received ", py::repr(dict_).cast<std::string>()));
  }

 private:
  py::handle find(const char* name) {
    py::str key(name);
    PyObject* item = PyDict_GetItemWithError(dict_.ptr(), key.ptr());
    if (item) ++found_;
    return item;
  }
  template <class T>
  void read(const char* name, const char* expected, T& value) {
    py::handle item = find(name);
    if (!item) return;
    try {
      value = item.cast<T>();
    } catch (const py::cast_error&) {
      throw Error(ErrorKind::type, concat("[", op_, "] expected ", expected, " for ", name, ", received ",
                                          py::repr(item).cast<std::string>()));
    }
  }

  const char* op_;
  const py::dict& dict_;
  std::size_t found_ = 0;
};

const OpDef& lookup(const std::string& name) {
  if (const OpDef* def = find_op(name)) return *def;
  throw Error(ErrorKind::value, concat("[run] no op is named ", name));
}

// The arguments of one call, parsed.
struct Call {
  const OpDef& def;
  std::shared_ptr<void> attrs;
  std::vector<Array> arrays;
  Views inputs;
  bool symbolic = false;

  Call(const std::string& name, py::sequence args, const py::dict& dict) : def(lookup(name)), attrs(def.make_attrs()) {
    DictReader reader(def.name, dict);
    def.visit_attrs(attrs.get(), reader);
    reader.finish(def, attrs.get());
    const std::size_t n = args.size();
    arrays.reserve(n);
    inputs.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      py::object item = args[i];
      if (item.is_none()) {
        inputs.emplace_back();
        continue;
      }
      if (!py::isinstance<Array>(item))
        throw Error(ErrorKind::type, concat("[", def.name, "] expected an Array or None for input ", i, ", received ",
                                            py::repr(py::type::of(item)).cast<std::string>()));
      arrays.push_back(item.cast<const Array&>());
      symbolic |= arrays.back().is_symbolic();
      inputs.push_back(arrays.back().view());
    }
  }
};

// Below this many elements an op takes less time than letting go of the GIL and getting it back under contention.
constexpr std::int64_t kReleaseGil = 4096;

py::object run(const std::string& name, py::sequence args, const py::dict& dict) {
  Call call(name, args, dict);
  const Specs specs = infer_op(call.def, call.attrs.get(), call.inputs);
  Recorder* recorder = Recorder::active();
  const bool in_body = recorder && recorder->is_body();
  if (in_body)  // is computed when the body runs
    for (const Array& array : call.arrays) call.symbolic |= recorder->varies(array);
  std::vector<Array> outputs;
  outputs.reserve(specs.size());
  if (call.symbolic) {
    for (const TensorSpec& spec : specs) outputs.push_back(recorder ? recorder->symbol(spec) : Array::symbolic(spec));
  } else if (call.def.is_view) {
    outputs.push_back(call.arrays[0].reshaped(specs[0].shape));
  } else {
    Views views;
    std::int64_t work = 0;
    for (const TensorSpec& spec : specs) {
      outputs.push_back(Array::empty(spec));
      views.push_back(outputs.back().view());
      work += spec.shape.size();
    }
    for (const TensorView& x : call.inputs) work += x.absent ? 0 : x.spec.shape.size();
    Workspace workspace;
    if (work >= kReleaseGil) {
      py::gil_scoped_release release;
      run_op(call.def, call.attrs.get(), call.inputs, views, workspace);
    } else {
      run_op(call.def, call.attrs.get(), call.inputs, views, workspace);
    }
  }
  if (recorder && (in_body || recorder->is_symbolic() || !call.symbolic))
    recorder->called(call.def, call.attrs, call.inputs, call.arrays, outputs);
  if (outputs.size() == 1) return py::cast(std::move(outputs[0]));
  py::tuple out(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) out[i] = py::cast(std::move(outputs[i]));
  return out;
}

}  // namespace

void bind_ops(py::module_& m) {
  m.def("run", &run, py::arg("op"), py::arg("inputs"), py::arg("attrs"),
        "Runs an op of ops.def: a list of Array or None, a dict of attributes; one Array, or a tuple of several.");
  m.def(
      "op_schemas",
      [] {
        py::dict out;
        for (const OpDef& def : all_ops()) {
          Describer d;
          def.visit_attrs(def.make_attrs().get(), d);
          out[def.name] = py::make_tuple(def.inputs, def.outputs, d.attrs);
        }
        return out;
      },
      "Name -> (inputs, outputs, [(attribute, type)]) of every op.");
}

}  // namespace kcore::python
