// Tensor views, specs and errors: the vocabulary every op speaks. Needs the C++ standard library alone.
// Arrays are contiguous and row-major. A view does not own its memory.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace kcore {

enum class DType : std::uint8_t { boolean, uint8, int32, uint32, int64, float32, float64, bfloat16 };

inline constexpr int kDTypeCount = 8;

// Bytes of one element.
constexpr std::int64_t size_of(DType dtype) {
  constexpr std::int64_t sizes[kDTypeCount] = {1, 1, 4, 4, 8, 4, 8, 2};
  return sizes[static_cast<int>(dtype)];
}

// NumPy's name of a dtype: "bool", "uint8", ..., "bfloat16".
constexpr const char* name_of(DType dtype) {
  constexpr const char* names[kDTypeCount] = {"bool",  "uint8",   "int32",   "uint32",
                                              "int64", "float32", "float64", "bfloat16"};
  return names[static_cast<int>(dtype)];
}

constexpr bool is_floating(DType dtype) { return dtype >= DType::float32; }

// The upper half of a float32: a type to store, which ops compute with in float32. From float to nearest, ties to even;
// NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  // Always inlined: the header is included by files compiled for one instruction set.
  [[gnu::always_inline]] explicit bfloat16(float x) {
    // In halves, as vectors of them hold twice as many: up from more than half a unit, or half a one above an odd
    // value.
    const auto all = __builtin_bit_cast(std::uint32_t, x);
    const auto high = static_cast<std::uint16_t>(all >> 16), low = static_cast<std::uint16_t>(all);
    const auto rest = static_cast<std::uint16_t>(low | (high & 1));
    const auto rounded = static_cast<std::uint16_t>(high + (rest > 0x8000));
    bits = x != x ? static_cast<std::uint16_t>(high | 0x40) : rounded;
  }
  [[gnu::always_inline]] explicit operator float() const {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
  }
};

// Maps a C++ type to its dtype: dtype_of<float> == DType::float32.
template <class T>
inline constexpr DType dtype_of = DType::boolean;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::uint8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::int32;
template <>
inline constexpr DType dtype_of<std::uint32_t> = DType::uint32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::int64;
template <>
inline constexpr DType dtype_of<float> = DType::float32;
template <>
inline constexpr DType dtype_of<double> = DType::float64;
template <>
inline constexpr DType dtype_of<bfloat16> = DType::bfloat16;

// What went wrong, so that a binding can raise the matching exception.
enum class ErrorKind { value, type, index };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// Dimensions of an array, at most eight.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(dims.begin(), static_cast<int>(dims.size())) {}
  Shape(const std::int64_t* dims, int rank) {
    for (int i = 0; i < rank; ++i) push_back(dims[i]);
  }

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[i]; }
  std::int64_t& operator[](int i) { return dims_[i]; }
  // The i-th dimension from the end; last() is the innermost.
  std::int64_t last(int i = 0) const { return dims_[rank_ - 1 - i]; }
  const std::int64_t* begin() const { return dims_; }
  const std::int64_t* end() const { return dims_ + rank_; }

  void push_back(std::int64_t dim) {
    if (rank_ == kMaxRank) throw Error(ErrorKind::value, "a tensor has at most 8 dimensions");
    dims_[rank_++] = dim;
  }

  // Number of elements of dimensions [from, to).
  std::int64_t count(int from, int to) const {
    std::int64_t n = 1;
    for (int i = from; i < to; ++i) n *= dims_[i];
    return n;
  }
  std::int64_t size() const { return count(0, rank_); }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i)
      if (dims_[i] != other.dims_[i]) return false;
    return true;
  }
  bool operator!=(const Shape& other) const { return !(*this == other); }

 private:
  std::int64_t dims_[kMaxRank] = {};
  int rank_ = 0;
};

// "(2, 3)", "(4,)", "()".
std::string to_string(const Shape& shape);

// What is known of a tensor before it is computed.
struct TensorSpec {
  DType dtype = DType::float32;
  Shape shape;
  bool operator==(const TensorSpec&) const = default;
};

// Memory of the caller's, read or written by an op. data == nullptr with absent == true stands for an
// optional input that is not given.
struct TensorView {
  void* data = nullptr;
  TensorSpec spec;
  bool absent = false;

  TensorView() : absent(true) {}
  TensorView(void* data, TensorSpec spec) : data(data), spec(spec) {}
  template <class T>
  TensorView(T* data, Shape shape)
      : data(const_cast<void*>(static_cast<const void*>(data))), spec{dtype_of<std::remove_const_t<T>>, shape} {}
};

}  // namespace kcore
