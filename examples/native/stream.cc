// stream MODEL.kcore: runs a recurrent network over an endless signal, block by block as a sound card would ask for it,
// and prints how long a block takes. stream.py makes the file.
#include <kcore/program.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: stream MODEL.kcore\n"), 2;
  try {
    using Clock = std::chrono::steady_clock;
    constexpr int kBlocks = 5000;
    constexpr double kRate = 48000;
    const kcore::Program program = kcore::Program::load(argv[1]);
    kcore::Context context(program, 1);  // in real time: one thread waits for nobody
    const auto samples = static_cast<std::size_t>(program.inputs()[0].shape.size());
    std::vector<float> in(samples), out(samples);
    std::vector<double> times(kBlocks);
    double energy = 0;
    for (int block = 0; block < kBlocks; ++block) {
      for (std::size_t i = 0; i < samples; ++i) {
        const double t = static_cast<double>(block * samples + i) / kRate;
        in[i] = static_cast<float>(0.5 * std::sin(2 * M_PI * 220 * t) * (1 + std::sin(2 * M_PI * 3 * t)));
      }
      const auto start = Clock::now();
      if (!context.run({in.data()}, {out.data()})) throw std::runtime_error(context.error());
      times[block] = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
      for (float y : out) energy += static_cast<double>(y) * y;
    }
    std::sort(times.begin(), times.end());
    const double budget = 1e6 * static_cast<double>(samples) / kRate;
    std::printf("%zu samples per block, %.0f microseconds of sound: median %.1f, 99%% %.1f, worst %.1f microseconds\n",
                samples, budget, times[kBlocks / 2], times[kBlocks * 99 / 100], times.back());
    return std::isfinite(energy) && energy > 0 && times[kBlocks / 2] < budget ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
