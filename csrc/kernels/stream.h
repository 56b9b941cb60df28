// Streaming stores: a result that will not stay in the cache is written around it. An ordinary store first reads the
// line it writes, so this saves a third of the traffic of a copy.
//
// A kernel computes kStreamBytes of its result with its ordinary loop into a buffer on the stack, which stays in L1,
// and stream_out writes that to memory. So the values are the same bits as without, whatever the loop is:
//
//   alignas(64) float block[kStreamBytes / sizeof(float)];
//   for (i = 0; i < n; i += count) {
//     f(x + i, block, count);                                      // as it would be for y + i
//     stream_out(y + i, block, bytes, {{x + i + count, bytes}});   // and fetches what the next block reads
//   }
//   stream_end();                                                  // once, before another thread may read y
//
// Without the fetching ahead the loads would wait for each block to be written: 36 against 52 GB/s in a copy on two
// cores of a Zen 4. Whether to stream is the caller's decision: exceeds_cache of base/cache.h. Blocks that begin at
// multiples of 64 bytes of y are best; of others, the part lines at both ends are stored in the ordinary way.
// Included by files compiled per ISA.
#pragma once

#include "kernels/copy/copy.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define KCORE_STREAM_INLINE inline __attribute__((always_inline))

namespace kcore::kernels::KCORE_ISA {

// 64 bytes; y is aligned to them, x is not.
KCORE_STREAM_INLINE void stream_line(char* y, const char* x) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(y), _mm512_loadu_si512(x));
#elif defined(__AVX__)
  for (int i = 0; i < 64; i += 32)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(y + i), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)));
#elif defined(__SSE2__)
  for (int i = 0; i < 64; i += 16)
    _mm_stream_si128(reinterpret_cast<__m128i*>(y + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)));
#else
  __builtin_memcpy(y, x, 64);
#endif
}

// y[0, bytes) = block[0, bytes).
KCORE_STREAM_INLINE void stream_out(void* y_, const void* block_, std::int64_t bytes, const Ahead* ahead, int count) {
  auto* y = static_cast<char*>(y_);
  auto* block = static_cast<const char*>(block_);
  std::int64_t i = static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(y) & 63);
  if (i > bytes) i = bytes;
  __builtin_memcpy(y, block, static_cast<std::size_t>(i));
  const char* next[4];
  std::int64_t step[4];  // lines to fetch per line written
  for (int k = 0; k < count; ++k) {
    next[k] = static_cast<const char*>(ahead[k].from);
    step[k] = (ahead[k].bytes + bytes - 1) / bytes;
  }
  for (; i + 64 <= bytes; i += 64) {
    stream_line(y + i, block + i);
    for (int k = 0; k < count; ++k)
      for (std::int64_t l = 0; l < step[k]; ++l, next[k] += 64) __builtin_prefetch(next[k]);
  }
  __builtin_memcpy(y + i, block + i, static_cast<std::size_t>(bytes - i));
}
// At most four inputs. Addresses past the end of an input do no harm.
template <int count>
KCORE_STREAM_INLINE void stream_out(void* y, const void* block, std::int64_t bytes, const Ahead (&ahead)[count]) {
  static_assert(count <= 4);
  stream_out(y, block, bytes, ahead, count);
}

// Orders the streamed stores before what this thread stores next, such as the sign that its work is done.
KCORE_STREAM_INLINE void stream_end() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace kcore::kernels::KCORE_ISA
