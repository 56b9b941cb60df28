// Reads what digits.py writes: the number of images, then for each 64 floats, then for each its digit.
#pragma once

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Digits {
  static constexpr std::size_t kPixels = 64;
  std::vector<float> images;
  std::vector<std::int32_t> labels;

  explicit Digits(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::int32_t count = 0;
    read(file, &count, 1);
    images.resize(static_cast<std::size_t>(count) * kPixels);
    labels.resize(static_cast<std::size_t>(count));
    read(file, images.data(), images.size());
    read(file, labels.data(), labels.size());
    if (!file) throw std::runtime_error("cannot read " + path);
  }

  std::size_t size() const { return labels.size(); }
  const float* image(std::size_t i) const { return images.data() + i * kPixels; }

 private:
  template <class T>
  static void read(std::ifstream& file, T* to, std::size_t count) {
    file.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count * sizeof(T)));
  }
};
