// Uniform, normal, integer and dropout kernels over Philox words.
#include "base/random.h"
#include "kernels/math.h"
#include "kernels/random/normal.h"
#include "kernels/random/random.h"

namespace kcore::kernels::KCORE_ISA {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

// Calls body(i, words, count) for each chunk of `per_chunk` elements of [begin, end).
template <int per_chunk, class Body>
inline void for_chunks(const u32* seed, std::int64_t begin, std::int64_t end, Body&& body) {
  alignas(64) u32 words[kPhiloxWords];
  for (std::int64_t i = begin; i < end; i += per_chunk) {
    philox16(seed[0], 0, static_cast<u64>(i / per_chunk) * kPhiloxLanes, seed[1], 0, words);
    body(i, words, static_cast<int>(end - i < per_chunk ? end - i : per_chunk));
  }
}

// PPND7 of the same paper, about 1e-7 relative. p >= 2^-33, what 31 random bits give: AS 241's third region (p < e^-25)
// is out of reach. No branch, so it vectorizes.
inline float lower_quantile_f32(float p) {
  const float q = p - 0.5f;
  const float r = 0.180625f - q * q;
  const float center = q * (((59.10937472f * r + 159.29113202f) * r + 50.434271938f) * r + 3.3871327179f) /
                       (((67.187563600f * r + 78.757757664f) * r + 17.895169469f) * r + 1.0f);
  const float s = __builtin_sqrtf(-log_of(p)) - 1.6f;
  const float tail = -(((0.17023821103f * s + 1.3067284816f) * s + 2.7568153900f) * s + 1.4234372777f) /
                     ((0.12021132975f * s + 0.73700164250f) * s + 1.0f);
  return q >= -0.425f ? center : tail;
}

inline u64 wide(const u32* words, int j) { return words[j] | static_cast<u64>(words[j + 32]) << 32; }

void uniform_f32(const u32* seed, std::int64_t begin, std::int64_t end, float minval, float span, float top, float* y) {
  for_chunks<64>(seed, begin, end, [=](std::int64_t i, const u32* words, int count) {
    for (int j = 0; j < count; ++j) {
      const float u = static_cast<float>(static_cast<std::int32_t>(words[j] >> 8)) * 0x1p-24f;
      const float value = minval + u * span;
      y[i + j] = value < top ? value : top;
    }
  });
}

void uniform_f64(const u32* seed, std::int64_t begin, std::int64_t end, double minval, double span, double top,
                 double* y) {
  for_chunks<32>(seed, begin, end, [=](std::int64_t i, const u32* words, int count) {
    for (int j = 0; j < count; ++j) {
      const double u = static_cast<double>(static_cast<std::int64_t>(wide(words, j) >> 11)) * 0x1p-53;
      const double value = minval + u * span;
      y[i + j] = value < top ? value : top;
    }
  });
}

// One bit chooses the side, the others a probability in (0, 1/2): symmetric, with tails to 2^-33 (6.4 sigma) in float.
void normal_f32(const u32* seed, std::int64_t begin, std::int64_t end, float mean, float stddev, bool truncated,
                float* y) {
  const float low = truncated ? static_cast<float>(kLowerTail2) : 0.0f;
  const float scale = (0.5f - low) * 0x1p-31f;
  for_chunks<64>(seed, begin, end, [=](std::int64_t i, const u32* words, int count) {
    for (int j = 0; j < count; ++j) {
      const float p = low + (static_cast<float>(static_cast<std::int32_t>(words[j] >> 1)) + 0.5f) * scale;
      float z = lower_quantile_f32(p);
      z = truncated && z < -2.0f ? -2.0f : z;
      y[i + j] = mean + stddev * (words[j] & 1 ? z : -z);
    }
  });
}

void normal_f64(const u32* seed, std::int64_t begin, std::int64_t end, double mean, double stddev, bool truncated,
                double* y) {
  const double low = truncated ? kLowerTail2 : 0.0;
  const double scale = (0.5 - low) * 0x1p-63;
  for_chunks<32>(seed, begin, end, [=](std::int64_t i, const u32* words, int count) {
    for (int j = 0; j < count; ++j) {
      const u64 bits = wide(words, j);
      const double p = low + (static_cast<double>(static_cast<std::int64_t>(bits >> 1)) + 0.5) * scale;
      double z = lower_normal_quantile(p);
      z = truncated && z < -2.0 ? -2.0 : z;
      y[i + j] = mean + stddev * (bits & 1 ? z : -z);
    }
  });
}

void integers(const u32* seed, std::int64_t begin, std::int64_t end, u64 span, u64* y) {
  for_chunks<32>(seed, begin, end, [=](std::int64_t i, const u32* words, int count) {
    for (int j = 0; j < count; ++j)
      y[i + j] = static_cast<u64>(static_cast<unsigned __int128>(wide(words, j)) * span >> 64);
  });
}

template <class T>
void dropout(const u32* seed, std::int64_t begin, std::int64_t end, u64 threshold, T scale, const T* x, T* y) {
  for_chunks<64>(seed, begin, end, [=](std::int64_t i, const u32* words, int count) {
    for (int j = 0; j < count; ++j) y[i + j] = words[j] >= threshold ? x[i + j] * scale : T(0);
  });
}

}  // namespace

const RandomKernels random_table = {uniform_f32, uniform_f64,    normal_f32,     normal_f64,
                                    integers,    dropout<float>, dropout<double>};

}  // namespace kcore::kernels::KCORE_ISA
