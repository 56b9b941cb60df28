// The limits of one core: fused multiply-adds in registers, and copies between buffers of a given size.
// Compiled by roofline.py for the ISA in force, with VECTOR_BYTES set to the width of its registers.
#include <immintrin.h>
#include <stddef.h>
#include <time.h>

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));

enum { kLanes = VECTOR_BYTES / sizeof(float), kChains = 12 };  // more chains than 2 FMA ports x 4 or 5 cycles of latency

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Floating-point operations per second over about `seconds`.
double fma_rate(double seconds) {
  vec sum[kChains], factor, term;
  for (int j = 0; j < kLanes; ++j) factor[j] = 0.999f, term[j] = 0.001f;
  for (int i = 0; i < kChains; ++i) sum[i] = term;
  const long inner = 20000;
  double count = 0;
  const double start = now();
  double elapsed;
  do {
    for (long n = 0; n < inner; ++n) {
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * factor + term;
    }
    for (int i = 0; i < kChains; ++i) __asm__ volatile("" : "+x"(sum[i]));  // the sums are wanted
    count += 2.0 * inner * kChains * kLanes;
    elapsed = now() - start;
  } while (elapsed < seconds);
  return count / elapsed;
}

static void copy_plain(const float* from, float* to, size_t count) {
  for (size_t i = 0; i < count; i += kLanes) *(vec*)(to + i) = *(const vec*)(from + i);
  __asm__ volatile("" ::"r"(to) : "memory");
}

static void copy_streaming(const float* from, float* to, size_t count) {
  for (size_t i = 0; i < count; i += kLanes) {
#if VECTOR_BYTES == 64
    _mm512_stream_ps(to + i, _mm512_load_ps(from + i));
#elif VECTOR_BYTES == 32
    _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
#else
    _mm_stream_ps(to + i, _mm_load_ps(from + i));
#endif
  }
  _mm_sfence();
}

// Bytes read and written per second by copies of `count` floats, again and again for `seconds`; buffers are aligned to 64
// bytes and `count` is a multiple of 16. The clock is read often, so that threads that start together also stop together.
double copy_rate(const float* from, float* to, size_t count, int streaming, double seconds) {
  const size_t piece = 1 << 16;
  double floats = 0;
  const double start = now();
  double elapsed = 0;
  do {
    for (size_t i = 0; i < count && elapsed < seconds; i += piece) {
      const size_t n = count - i < piece ? count - i : piece;
      (streaming ? copy_streaming : copy_plain)(from + i, to + i, n);
      floats += (double)n;
      elapsed = now() - start;
    }
  } while (elapsed < seconds);
  return 2.0 * sizeof(float) * floats / elapsed;
}
