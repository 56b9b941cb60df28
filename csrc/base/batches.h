// Batches of rows of arrays, gathered in any order and converted to dtypes of ours.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
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
  // ahead: a thread gathers the next batch while the caller uses the last one; otherwise all threads do, when it is
  // asked for.
  Batches(std::vector<RowSource> sources, std::int64_t rows, std::int64_t batch, std::vector<std::int64_t> starts,
          std::vector<std::int64_t> order, bool ahead);
  ~Batches();
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  bool done() const { return next_ == starts_.size(); }
  // An array for each source.
  std::vector<Array> next();

 private:
  // What is gathered ahead, by a thread that ends with the batch: there is none to be left behind.
  struct Pending {
    std::vector<Array> arrays;
    std::exception_ptr error;
    std::thread thread;
  };

  std::vector<Array> gather(std::size_t batch, bool alone) const;
  Array gather(const RowSource& source, std::int64_t start, std::int64_t count, bool alone) const;
  void begin();

  std::vector<RowSource> sources_;
  std::int64_t rows_, batch_;
  std::vector<std::int64_t> starts_, order_;
  std::size_t next_ = 0;
  bool ahead_;
  pid_t process_;
  std::unique_ptr<Pending> pending_;  // of batch next_
};

}  // namespace kcore
