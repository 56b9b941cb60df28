// Random numbers over a range [begin, end) of the elements of an array. begin is a multiple of kRandomChunk.
// Chunk c of 64 words comes from Philox blocks 16 c to 16 c + 15; an element takes one word (float, dropout) or the
// words j and j + 32 of a chunk of 32 elements (double, integers). So element i depends on the seed and i alone.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

namespace kcore {

inline constexpr std::int64_t kRandomChunk = 64;

struct RandomKernels {
  // minval + u * span, u in [0, 1), never above `top` (the largest value below maxval: rounding may reach maxval).
  void (*uniform_f32)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, float minval, float span,
                      float top, float* y);
  void (*uniform_f64)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, double minval, double span,
                      double top, double* y);
  // mean + stddev * z; z is cut off outside [-2, 2] if truncated.
  void (*normal_f32)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, float mean, float stddev,
                     bool truncated, float* y);
  void (*normal_f64)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, double mean, double stddev,
                     bool truncated, double* y);
  // Uniform in [0, span), span > 0, from 64 random bits each: the bias is below span / 2^64.
  void (*integers)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, std::uint64_t span,
                   std::uint64_t* y);
  // x * scale where the element's word is >= threshold, else 0; threshold = rate * 2^32.
  void (*dropout_f32)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, std::uint64_t threshold,
                      float scale, const float* x, float* y);
  void (*dropout_f64)(const std::uint32_t* seed, std::int64_t begin, std::int64_t end, std::uint64_t threshold,
                      double scale, const double* x, double* y);
};

}  // namespace kcore

KCORE_KERNELS(RandomKernels, random)
