// The header is JSON; data is copied into arrays of its own, which are aligned.
#include "program/tensors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "program/file_format.h"

namespace kcore {
namespace {

using nlohmann::json;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

constexpr const char* kNames[kDTypeCount] = {"BOOL", "U8", "I32", "U32", "I64", "F32", "F64", "BF16"};

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(ErrorKind::value, concat("[load] ", parts...));
}

TensorSpec spec_of(const std::string& name, const json& entry) {
  const std::string dtype = entry.at("dtype");
  const auto found = std::find(std::begin(kNames), std::end(kNames), dtype);
  if (found == std::end(kNames)) fail("expected a dtype that kcore has for tensor ", name, ", received ", dtype);
  TensorSpec spec{static_cast<DType>(found - kNames), {}};
  for (const json& dim : entry.at("shape")) {
    if (!dim.is_number_unsigned()) fail("expected sizes as the shape of tensor ", name, ", received ", dim.dump());
    spec.shape.push_back(static_cast<std::int64_t>(dim.get<std::uint64_t>()));
  }
  return spec;
}

// Bytes of a tensor; more than `most` if it has more.
std::uint64_t bytes_of(const TensorSpec& spec, std::uint64_t most) {
  auto bytes = static_cast<std::uint64_t>(size_of(spec.dtype));
  if (std::find(spec.shape.begin(), spec.shape.end(), 0) != spec.shape.end()) return 0;
  for (std::int64_t dim : spec.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dim), &bytes) || bytes > most) return most + 1;
  return bytes;
}

TensorFile parse(const char* bytes, std::size_t size) {
  std::uint64_t length;
  if (size < sizeof length) fail("expected a safetensors file, received ", size, " bytes");
  std::memcpy(&length, bytes, sizeof length);
  if (length > size - sizeof length)
    fail("expected a safetensors file, received ", size, " bytes of something else, or a truncated file");
  const char* const text = bytes + sizeof length;
  const char* const data = text + length;
  const std::uint64_t data_size = size - sizeof length - length;
  const json header = file_format::parse_json(text, data);
  if (!header.is_object()) fail("expected an object as the header, received ", header.type_name());

  TensorFile file;
  struct Span {
    std::uint64_t from, to;
    std::string name;
  };
  std::vector<Span> spans;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (entry.contains("kcore")) file.program = entry.at("kcore").get<std::string>();
      continue;
    }
    const TensorSpec spec = spec_of(name, entry);
    const json& offsets = entry.at("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      fail("expected two offsets of tensor ", name, ", received ", offsets.dump());
    const Span span{offsets[0], offsets[1], name};
    if (span.from > span.to || span.to > data_size)
      fail("expected tensor ", name, " within ", data_size, " bytes of data, received offsets ", span.from, " to ",
           span.to, "; the file is truncated or damaged");
    if (bytes_of(spec, data_size) != span.to - span.from)
      fail("expected the offsets of tensor ", name, " to span its ", spec.dtype, " ", spec.shape, ", received ",
           span.to - span.from, " bytes");
    spans.push_back(span);
    const Array array = Array::empty(spec);
    if (span.to > span.from) std::memcpy(array.data(), data + span.from, span.to - span.from);
    if (spec.dtype == DType::boolean)  // any other byte would be undefined behaviour
      for (std::uint64_t i = span.from; i < span.to; ++i)
        if (static_cast<unsigned char>(data[i]) > 1) fail("expected zeros and ones in tensor ", name, " of dtype bool");
    file.tensors.emplace_back(name, array);
  }
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.from != b.from ? a.from < b.from : a.to < b.to; });
  std::uint64_t end = 0;
  for (const Span& span : spans) {
    if (span.from != end) fail("expected tensors one after the other, received a gap or an overlap at ", span.name);
    end = span.to;
  }
  if (end != data_size) fail("expected ", end, " bytes of data, received ", data_size);
  return file;
}

// Closes what it opened, and removes it unless it was put in place.
class Output {
 public:
  explicit Output(const std::string& path)
      : path_(path), temporary_(concat(path, ".", ::getpid(), ".tmp")), file_(std::fopen(temporary_.c_str(), "wb")) {
    if (!file_) fail("open", temporary_);
  }
  ~Output() {
    if (file_) {
      std::fclose(file_);
      std::remove(temporary_.c_str());
    }
  }
  void write(const void* bytes, std::size_t size) {
    if (size && std::fwrite(bytes, 1, size, file_) != size) fail("write", temporary_);
  }
  void put_in_place() {
    if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) fail("write", temporary_);
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename", path_);
    std::fclose(file_);
    file_ = nullptr;
  }

 private:
  [[noreturn]] static void fail(const char* what, const std::string& path) {
    throw Error(ErrorKind::value, concat("[save] cannot ", what, " ", path, ": ", std::strerror(errno)));
  }
  std::string path_, temporary_;
  std::FILE* file_;
};

}  // namespace

TensorFile parse_tensors(const void* bytes, std::size_t size) {
  try {
    return parse(static_cast<const char*>(bytes), size);
  } catch (const json::exception& error) {
    fail("expected the header of a safetensors file, received something else: ", error.what());
  }
}

std::string read_bytes(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (!file) fail("cannot open ", path, ": ", std::strerror(errno));
  std::string bytes;
  std::size_t got = 0;
  do {
    const std::size_t chunk = std::max<std::size_t>(bytes.size(), 1 << 16), before = bytes.size();
    bytes.resize(before + chunk);
    got = std::fread(bytes.data() + before, 1, chunk, file);
    bytes.resize(before + got);
  } while (got > 0);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) fail("cannot read ", path);
  return bytes;
}

TensorFile read_tensors(const std::string& path) {
  const std::string bytes = read_bytes(path);
  return parse_tensors(bytes.data(), bytes.size());
}

void write_tensors(const std::string& path, const TensorFile& file) {
  // Wide elements first: each tensor is then aligned for its dtype.
  std::vector<std::pair<std::string, Array>> tensors = file.tensors;
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const auto& a, const auto& b) { return size_of(a.second.dtype()) > size_of(b.second.dtype()); });
  json header = json::object();
  if (!file.program.empty()) header["__metadata__"] = {{"kcore", file.program}};
  std::uint64_t end = 0;
  for (const auto& [name, array] : tensors) {
    const std::uint64_t from = end;
    end += static_cast<std::uint64_t>(array.shape().size() * size_of(array.dtype()));
    header[name] = {{"dtype", kNames[static_cast<int>(array.dtype())]},
                    {"shape", std::vector<std::int64_t>(array.shape().begin(), array.shape().end())},
                    {"data_offsets", {from, end}}};
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  const std::size_t padded = (sizeof(std::uint64_t) + text.size() + 63) / 64 * 64;  // the data begins aligned
  text.resize(padded - sizeof(std::uint64_t), ' ');
  const std::uint64_t length = text.size();
  Output out(path);
  out.write(&length, sizeof length);
  out.write(text.data(), text.size());
  for (const auto& [name, array] : tensors)
    out.write(array.data(), static_cast<std::size_t>(array.shape().size() * size_of(array.dtype())));
  out.put_in_place();
}

}  // namespace kcore
