// digits MODEL.kcore IMAGES.bin: classifies handwritten digits. digits.py makes both files.
#include <kcore/program.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>

#include "digits_file.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: digits MODEL.kcore IMAGES.bin\n"), 2;
  try {
    const kcore::Program program = kcore::Program::load(argv[1]);  // a batch of one image
    kcore::Context context(program, 1);
    const Digits digits(argv[2]);
    float scores[10];
    if (program.inputs()[0].bytes() != sizeof(float) * Digits::kPixels || program.outputs()[0].bytes() != sizeof scores)
      throw std::runtime_error("expected a model of 64 pixels and 10 scores");

    std::size_t right = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < digits.size(); ++i) {
      if (!context.run({digits.image(i)}, {scores})) throw std::runtime_error(context.error());
      right += std::max_element(scores, scores + 10) - scores == digits.labels[i];
    }
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
    std::printf("%zu of %zu digits right, %.2f microseconds each\n", right, digits.size(),
                time.count() / static_cast<double>(digits.size()));
    return right * 100 > digits.size() * 85 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
