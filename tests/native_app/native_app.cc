// Checks a matrix product and a convolution through the installed headers, against sums written out here.
#include <kcore/ops.h>

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

std::vector<float> ramp(std::int64_t n) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(static_cast<int>(i * 7 % 13) - 6) / 4;
  return x;
}

bool same(const char* what, const std::vector<float>& got, const std::vector<double>& want) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::fmax(worst, std::fabs(got[i] - want[i]));
  std::printf("%-8s largest error %.2g\n", what, worst);
  return worst < 1e-5;  // values are quarters below 2, sums have fewer than 100 terms: float32 holds them to 1e-6
}

bool check_matmul() {
  const std::int64_t m = 5, n = 17, k = 9;
  const std::vector<float> a = ramp(m * k), b = ramp(k * n);
  std::vector<float> y(static_cast<std::size_t>(m * n));
  kcore::run(kcore::ops::matmul{}, {{a.data(), {m, k}}, {b.data(), {k, n}}}, {{y.data(), {m, n}}});
  std::vector<double> want(y.size());
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      for (std::int64_t p = 0; p < k; ++p) want[i * n + j] += double{a[i * k + p]} * double{b[p * n + j]};
  return same("matmul", y, want);
}

bool check_conv() {
  const std::int64_t h = 6, w = 5, c = 3, f = 4;
  const std::vector<float> x = ramp(h * w * c), kernel = ramp(3 * 3 * c * f);
  const kcore::ops::conv op{.strides = {1, 1}, .pads = {1, 1, 1, 1}, .dilations = {1, 1}};
  const kcore::Views inputs = {{x.data(), {1, h, w, c}}, {kernel.data(), {3, 3, c, f}}};
  const kcore::Shape shape = kcore::infer(op, inputs)[0].shape;
  if (shape != kcore::Shape{1, h, w, f}) return false;
  std::vector<float> y(static_cast<std::size_t>(shape.size()));
  kcore::run(op, inputs, {{y.data(), shape}});
  std::vector<double> want(y.size());
  for (std::int64_t i = 0; i < h; ++i)
    for (std::int64_t j = 0; j < w; ++j)
      for (std::int64_t o = 0; o < f; ++o)
        for (std::int64_t u = 0; u < 3; ++u)
          for (std::int64_t v = 0; v < 3; ++v)
            for (std::int64_t q = 0; q < c; ++q) {
              const std::int64_t r = i + u - 1, s = j + v - 1;
              if (r < 0 || r >= h || s < 0 || s >= w) continue;
              want[(i * w + j) * f + o] +=
                  double{x[(r * w + s) * c + q]} * double{kernel[((u * 3 + v) * c + q) * f + o]};
            }
  return same("conv", y, want);
}

bool check_errors() {
  std::vector<float> x(6);
  try {
    kcore::run(kcore::ops::matmul{}, {{x.data(), {2, 3}}, {x.data(), {2, 3}}}, {{x.data(), {2, 3}}});
  } catch (const kcore::Error& e) {
    std::printf("error    %s\n", e.what());
    return true;
  }
  return false;
}

}  // namespace

int main() { return check_matmul() && check_conv() && check_errors() ? 0 : 1; }
