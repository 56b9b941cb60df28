// Files of named tensors in the safetensors format: what weights and programs are stored as.
//
//   8 bytes   length of the header, little-endian
//   header    JSON: {"__metadata__": {name: text}, tensor: {"dtype", "shape", "data_offsets": [from, to]}, ...}
//   data      the tensors one after the other, without gaps
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/array.h"

namespace kcore {

struct TensorFile {
  std::vector<std::pair<std::string, Array>> tensors;  // names differ
  std::string program;                                 // the metadata named "kcore"; empty if there is none
};

// Checks everything. Throws Error for what is not such a file.
TensorFile parse_tensors(const void* bytes, std::size_t size);
TensorFile read_tensors(const std::string& path);

// A reader sees the whole old file or the whole new one: written beside it, synced, renamed. Throws Error.
void write_tensors(const std::string& path, const TensorFile& file);

std::string read_bytes(const std::string& path);

}  // namespace kcore
