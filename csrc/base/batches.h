// Batches of rows of arrays, gathered in any order and converted to dtypes of ours.
#pragma once

#include <cstdint>
#include <vector>

#include "base/array.h"

namespace kcore {

// What the numbers of a source are, and what they become.
enum class Conversion { none, double_to_float, int8_to_int32, int16_to_int32, uint16_to_int32, uint64_to_int64 };

// Rows in somebody else's memory. The numbers of a row lie one after the other.
struct RowSource {
  const char* data = nullptr;
  std::int64_t step = 0;  // bytes from one row to the next
  Conversion conversion = Conversion::none;
  TensorSpec row;  // dtype: what it becomes
};

class Batches {
 public:
  // starts: for each batch, the number of its first row. order: the rows that these are numbers in; empty: as they lie.
  Batches(std::vector<RowSource> sources, std::int64_t rows, std::int64_t batch, std::vector<std::int64_t> starts,
          std::vector<std::int64_t> order);

  bool done() const { return next_ == starts_.size(); }
  // An array for each source.
  std::vector<Array> next();

 private:
  Array gather(const RowSource& source, std::int64_t start, std::int64_t count) const;

  std::vector<RowSource> sources_;
  std::int64_t rows_, batch_;
  std::vector<std::int64_t> starts_, order_;
  std::size_t next_ = 0;
};

}  // namespace kcore
