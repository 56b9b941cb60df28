// Philox4x32-10, a counter-based generator: 128 bits of counter and 64 bits of key in, four random words out.
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
// Everything is static: this header is compiled into files of several ISAs.
#pragma once

#include <cstdint>

namespace kcore {

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53, kPhiloxM1 = 0xCD9E8D57;
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9, kPhiloxW1 = 0xBB67AE85;

// Sixteen blocks at once, side by side, so that the rounds vectorize. Block b of the counter
// (first + b, stream, tag) fills words[b], words[16 + b], words[32 + b], words[48 + b].
inline constexpr int kPhiloxLanes = 16;
inline constexpr int kPhiloxWords = 4 * kPhiloxLanes;

static inline void philox16(std::uint32_t key0, std::uint32_t key1, std::uint64_t first, std::uint32_t stream,
                            std::uint32_t tag, std::uint32_t* words) {
  std::uint32_t* c0 = words;
  std::uint32_t* c1 = words + kPhiloxLanes;
  std::uint32_t* c2 = words + 2 * kPhiloxLanes;
  std::uint32_t* c3 = words + 3 * kPhiloxLanes;
  for (int b = 0; b < kPhiloxLanes; ++b) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(b);
    c0[b] = static_cast<std::uint32_t>(block);
    c1[b] = static_cast<std::uint32_t>(block >> 32);
    c2[b] = stream;
    c3[b] = tag;
  }
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int b = 0; b < kPhiloxLanes; ++b) {
      const std::uint64_t p0 = static_cast<std::uint64_t>(kPhiloxM0) * c0[b];
      const std::uint64_t p1 = static_cast<std::uint64_t>(kPhiloxM1) * c2[b];
      c0[b] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[b] ^ key0;
      c2[b] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[b] ^ key1;
      c1[b] = static_cast<std::uint32_t>(p1);
      c3[b] = static_cast<std::uint32_t>(p0);
    }
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
}

// One block: counter in, random words out, in place.
static inline void philox(std::uint32_t key0, std::uint32_t key1, std::uint32_t (&c)[4]) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(kPhiloxM0) * c[0];
    const std::uint64_t p1 = static_cast<std::uint64_t>(kPhiloxM1) * c[2];
    c[0] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key0;
    c[2] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key1;
    c[1] = static_cast<std::uint32_t>(p1);
    c[3] = static_cast<std::uint32_t>(p0);
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
}

}  // namespace kcore
