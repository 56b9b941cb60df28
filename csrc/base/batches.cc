// Gathering ahead pays where a CPU is idle while a step runs: see docs/design.md, Batches.
#include "base/batches.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/parallel.h"

namespace kcore {
namespace {

using Copy = void (*)(const char* from, char* to, std::int64_t count);

void move(const char* from, char* to, std::int64_t bytes) { std::memcpy(to, from, static_cast<std::size_t>(bytes)); }

template <class From, class To>
void convert(const char* from, char* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    From value;  // sources need not be aligned
    std::memcpy(&value, from + i * static_cast<std::int64_t>(sizeof value), sizeof value);
    reinterpret_cast<To*>(to)[i] = static_cast<To>(value);
  }
}

struct Kind {
  std::int64_t from;  // bytes of a number; 0: as many as it takes after
  Copy copy;
};

Kind kind_of(Conversion conversion) {
  switch (conversion) {
    case Conversion::double_to_float: return {8, convert<double, float>};
    case Conversion::int8_to_int32: return {1, convert<std::int8_t, std::int32_t>};
    case Conversion::int16_to_int32: return {2, convert<std::int16_t, std::int32_t>};
    case Conversion::uint16_to_int32: return {2, convert<std::uint16_t, std::int32_t>};
    case Conversion::uint64_to_int64: return {8, convert<std::uint64_t, std::int64_t>};
    case Conversion::none: break;
  }
  return {0, move};
}

}  // namespace

Batches::Batches(std::vector<RowSource> sources, std::int64_t rows, std::int64_t batch,
                 std::vector<std::int64_t> starts, std::vector<std::int64_t> order, bool ahead)
    : sources_(std::move(sources)),
      rows_(rows),
      batch_(batch),
      starts_(std::move(starts)),
      order_(std::move(order)),
      ahead_(ahead),
      process_(getpid()) {
  const auto inside = [rows](std::int64_t i) { return i >= 0 && i < rows; };
  if (batch_ < 1 || !std::all_of(starts_.begin(), starts_.end(), inside) ||
      !std::all_of(order_.begin(), order_.end(), inside) ||
      (!order_.empty() && static_cast<std::int64_t>(order_.size()) != rows))
    throw Error(ErrorKind::value, concat("[Batches] expected numbers of rows below ", rows));
}

Batches::~Batches() {
  if (!pending_) return;
  if (getpid() == process_)
    pending_->thread.join();
  else
    pending_.release();  // a child of fork() has not got the thread; nothing can be asked of it, not even to end
}

void Batches::begin() {
  pending_ = std::make_unique<Pending>();
  const auto work = [this, pending = pending_.get(), batch = next_] {
    try {
      pending->arrays = gather(batch, true);
    } catch (...) {
      pending->error = std::current_exception();
    }
  };
  try {
    pending_->thread = std::thread(work);
  } catch (const std::system_error&) {  // no more threads: then without
    pending_.reset();
    ahead_ = false;
  }
}

std::vector<Array> Batches::next() {
  std::vector<Array> arrays;
  if (pending_ && getpid() == process_) {
    const std::unique_ptr<Pending> pending = std::move(pending_);
    pending->thread.join();
    if (pending->error) std::rethrow_exception(pending->error);
    arrays = std::move(pending->arrays);
  } else {
    arrays = gather(next_, false);
  }
  ++next_;
  if (ahead_ && !done() && getpid() == process_) begin();
  return arrays;
}

std::vector<Array> Batches::gather(std::size_t batch, bool alone) const {
  const std::int64_t start = starts_.at(batch), count = std::min(batch_, rows_ - start);
  std::vector<Array> arrays;
  for (const RowSource& source : sources_) arrays.push_back(gather(source, start, count, alone));
  return arrays;
}

Array Batches::gather(const RowSource& source, std::int64_t start, std::int64_t count, bool alone) const {
  Shape shape{count};
  for (std::int64_t dim : source.row.shape) shape.push_back(dim);
  Array out = Array::empty({source.row.dtype, shape});
  const auto [from, copy] = kind_of(source.conversion);
  const std::int64_t numbers = source.row.shape.size(), bytes = numbers * size_of(source.row.dtype);
  const std::int64_t length = from ? numbers : bytes;  // what `copy` counts in
  const bool in_order = order_.empty() && source.step == (from ? from * numbers : bytes);
  char* to = static_cast<char*>(out.data());
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    if (in_order) {
      copy(source.data + (start + begin) * source.step, to + begin * bytes, (end - begin) * length);
      return;
    }
    for (std::int64_t i = begin; i < end; ++i)
      copy(source.data + (order_.empty() ? start + i : order_[start + i]) * source.step, to + i * bytes, length);
  };
  if (alone) {
    rows(0, count);
    return out;
  }
  // A tenth of a nanosecond for a byte that is copied, a quarter for one that is converted.
  const std::int64_t grain = grain_for(static_cast<double>(std::max<std::int64_t>(bytes, 1)) * (from ? 0.25 : 0.1));
  parallel_ranges(count, grain, rows);
  return out;
}

}  // namespace kcore
