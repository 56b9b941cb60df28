// What writing and reading of program files share: attributes as JSON, numbers that depend on the batch.
#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"
#include "ops/op.h"

namespace kcore::file_format {

using nlohmann::json;

inline constexpr int kVersion = 1;
inline constexpr const char* kPerBatch = "per_batch";
inline constexpr const char* kPlus = "plus";

// Throws json::exception for what is not JSON, Error for what is nested too deeply to look through by recursion.
template <class Text>
json parse_json(const Text& begin, const Text& end) {
  return json::parse(begin, end, [](int depth, json::parse_event_t, json&) {
    if (depth > 64) throw Error(ErrorKind::value, "[load] expected the description of a program, received a nest");
    return true;
  });
}

class AttrWriter : public AttrVisitor {
 public:
  void visit(const char* name, bool& value) override { attrs[name] = value; }
  void visit(const char* name, std::int64_t& value) override { attrs[name] = value; }
  void visit(const char* name, double& value) override {
    if (std::isfinite(value))
      attrs[name] = value;
    else  // JSON has no name for these
      attrs[name] = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  }
  void visit(const char* name, Ints& value) override { attrs[name] = value; }
  void visit(const char* name, DType& value) override { attrs[name] = name_of(value); }
  void visit(const char* name, std::string& value) override { attrs[name] = value; }
  json attrs = json::object();
};

inline DType dtype_named(const json& name) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (name == name_of(static_cast<DType>(i))) return static_cast<DType>(i);
  throw Error(ErrorKind::value, concat("[load] expected the name of a dtype, received ", name.dump()));
}

inline std::int64_t integer(const json& value, const char* what) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX))
    throw Error(ErrorKind::value, concat("[load] expected an integer as ", what, ", received ", value.dump()));
  return value.get<std::int64_t>();
}

// Attributes that are not there keep their defaults: files written before an op had them can be read.
class AttrReader : public AttrVisitor {
 public:
  AttrReader(const char* op, const json& attrs) : op_(op), attrs_(attrs) {
    if (!attrs.is_object()) throw Error(ErrorKind::value, concat("[load] expected the attributes of ", op));
  }
  void visit(const char* name, bool& value) override {
    if (const json* found = find(name)) value = found->get<bool>();
  }
  void visit(const char* name, std::int64_t& value) override {
    if (const json* found = find(name)) value = integer(*found, name);
  }
  void visit(const char* name, double& value) override {
    const json* found = find(name);
    if (!found) return;
    if (found->is_string())
      value = *found == "inf" ? INFINITY : *found == "-inf" ? -INFINITY : NAN;
    else
      value = found->get<double>();
  }
  void visit(const char* name, Ints& value) override {
    const json* found = find(name);
    if (!found) return;
    if (!found->is_array()) throw Error(ErrorKind::value, concat("[load] expected a list as ", name, " of ", op_));
    value.clear();
    for (const json& item : *found) value.push_back(integer(item, name));
  }
  void visit(const char* name, DType& value) override {
    if (const json* found = find(name)) value = dtype_named(*found);
  }
  void visit(const char* name, std::string& value) override {
    if (const json* found = find(name)) value = found->get<std::string>();
  }
  // An attribute that the op does not have may change what it computes.
  void finish() const {
    if (found_ != attrs_.size())
      throw Error(ErrorKind::value, concat("[load] ", op_, " does not have one of the attributes ", attrs_.dump(),
                                           "; the file is of a later version of kcore, or damaged"));
  }

 private:
  const json* find(const char* name) {
    const auto found = attrs_.find(name);
    if (found == attrs_.end()) return nullptr;
    ++found_;
    return &*found;
  }
  const char* op_;
  const json& attrs_;
  std::size_t found_ = 0;
};

inline bool is_per_batch(const json& value) { return value.is_object() && value.contains(kPerBatch); }

// Whether anything in it depends on the size of the batch.
inline bool depends_on_batch(const json& value) {
  if (is_per_batch(value)) return true;
  if (!value.is_structured()) return false;
  for (const json& part : value)
    if (depends_on_batch(part)) return true;
  return false;
}

}  // namespace kcore::file_format
