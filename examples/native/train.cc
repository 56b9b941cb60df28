// train STEP.kcore TRAIN.bin WEIGHTS.safetensors [MODEL.kcore TEST.bin]: trains a network without Python, saves its
// weights, and tries them in a model for inference. digits.py makes the files, and reads the weights back.
#include <kcore/program.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <numeric>
#include <random>

#include "digits_file.h"

namespace {

void train(const char* step_path, const Digits& digits, const char* weights_path) {
  const kcore::Program step = kcore::Program::load(step_path, {.name = "train"});
  kcore::Context context(step);
  const auto batch = static_cast<std::size_t>(step.inputs()[0].shape[0]);
  std::vector<float> images(batch * Digits::kPixels);
  std::vector<std::int32_t> labels(batch);
  std::vector<float> results(step.outputs().size());  // the loss and metrics, each a number
  std::vector<void*> outputs;
  for (float& result : results) outputs.push_back(&result);
  const void* const inputs[] = {images.data(), labels.data()};

  std::vector<std::size_t> order(digits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 random(0);
  for (int epoch = 1; epoch <= 20; ++epoch) {
    std::shuffle(order.begin(), order.end(), random);
    std::vector<double> sums(results.size());
    std::size_t steps = 0;
    for (std::size_t first = 0; first + batch <= order.size(); first += batch, ++steps) {
      for (std::size_t i = 0; i < batch; ++i) {
        std::copy_n(digits.image(order[first + i]), Digits::kPixels, images.data() + i * Digits::kPixels);
        labels[i] = digits.labels[order[first + i]];
      }
      if (!context.run(inputs, outputs.data())) throw std::runtime_error(context.error());
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += results[i];
    }
    if (epoch % 5) continue;
    std::printf("epoch %2d:", epoch);
    for (std::size_t i = 0; i < sums.size(); ++i)
      std::printf(" %s %.3f", step.outputs()[i].name.c_str(), sums[i] / static_cast<double>(steps));
    std::printf("\n");
  }
  context.save(weights_path);
}

double accuracy(const char* model_path, const char* weights_path, const Digits& digits) {
  // All images as one batch: the model was exported with a free batch size.
  const auto count = static_cast<std::int64_t>(digits.size());
  const kcore::Program model = kcore::Program::load(model_path, {.batch = count});
  kcore::Context context(model);
  context.load(weights_path);
  std::vector<float> scores(digits.size() * 10);
  if (!context.run({digits.images.data()}, {scores.data()})) throw std::runtime_error(context.error());
  std::size_t right = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const float* const row = scores.data() + 10 * i;
    right += std::max_element(row, row + 10) - row == digits.labels[i];
  }
  return static_cast<double>(right) / static_cast<double>(digits.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 6)
    return std::fprintf(stderr, "usage: train STEP.kcore TRAIN.bin WEIGHTS.safetensors [MODEL.kcore TEST.bin]\n"), 2;
  try {
    train(argv[1], Digits(argv[2]), argv[3]);
    if (argc == 4) return 0;
    const double share = accuracy(argv[4], argv[3], Digits(argv[5]));
    std::printf("accuracy of the saved weights: %.3f\n", share);
    return share > 0.85 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
