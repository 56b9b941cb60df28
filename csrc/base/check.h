// Error messages in one style: "[op] expected ..., received ...".
#pragma once

#include <sstream>
#include <string>

#include "kcore/tensor.h"

namespace kcore {

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }
inline std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }

// Joins anything printable: concat("axis ", 3, " of ", shape).
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace kcore
