// DLPack both ways without copying (https://dmlc.github.io/dlpack, version 0.8 structures: what every library reads).
#include <cstring>

#include "base/check.h"
#include "program/recorder.h"
#include "python/array.h"

namespace kcore::python {
namespace {

// The ABI of DLPack; names and layout are its specification's.
struct DLDevice {
  std::int32_t device_type;
  std::int32_t device_id;
};
struct DLDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor*);
};
constexpr std::int32_t kCpu = 1;
enum Code : std::uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

DLDataType to_dl(DType dtype) {
  const auto bits = static_cast<std::uint8_t>(8 * size_of(dtype));
  switch (dtype) {
    case DType::boolean: return {kBool, 8, 1};
    case DType::uint8:
    case DType::uint32: return {kUInt, bits, 1};
    case DType::int32:
    case DType::int64: return {kInt, bits, 1};
    case DType::bfloat16: return {kBfloat, bits, 1};
    default: return {kFloat, bits, 1};
  }
}

DType from_dl(DLDataType type) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DLDataType ours = to_dl(static_cast<DType>(i));
    if (ours.code == type.code && ours.bits == type.bits && type.lanes == 1) return static_cast<DType>(i);
  }
  throw Error(ErrorKind::type, concat("[from_dlpack] unsupported element type: code ", int{type.code}, ", ",
                                      int{type.bits}, " bits, ", type.lanes, " lanes"));
}

// What an exported capsule keeps alive, and where its shape lives.
struct Export {
  Array array;
  std::int64_t shape[Shape::kMaxRank];
  std::int64_t strides[Shape::kMaxRank];
  DLManagedTensor managed;
};

py::capsule to_dlpack(const Array& array) {
  if (Recorder* recorder = Recorder::active()) recorder->looked_at(array, "dlpack");
  if (array.is_symbolic()) throw Error(ErrorKind::value, "[dlpack] a symbolic tensor has no data");
  auto* e = new Export{array, {}, {}, {}};
  const Shape& shape = array.shape();
  for (int i = 0; i < shape.rank(); ++i) {
    e->shape[i] = shape[i];
    e->strides[i] = shape.count(i + 1, shape.rank());
  }
  e->managed.dl_tensor = {array.data(), {kCpu, 0}, shape.rank(), to_dl(array.dtype()), e->shape, e->strides, 0};
  e->managed.manager_ctx = e;
  e->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Export*>(self->manager_ctx); };
  return py::capsule(&e->managed, "dltensor", [](PyObject* capsule) {
    // A consumer that took the tensor renamed the capsule, and calls the deleter itself.
    if (PyCapsule_IsValid(capsule, "dltensor")) {
      auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
      managed->deleter(managed);
    }
  });
}

Array from_dlpack(py::capsule capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), "dltensor"))
    throw Error(ErrorKind::value,
                "[from_dlpack] expected a DLPack capsule that nobody has taken yet (named \"dltensor\")");
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  const DLTensor& t = managed->dl_tensor;
  if (t.device.device_type != kCpu)
    throw Error(ErrorKind::value, concat("[from_dlpack] expected a tensor in CPU memory, received device type ",
                                         t.device.device_type, "; move it to the CPU first"));
  const DType dtype = from_dl(t.dtype);
  if (t.ndim > Shape::kMaxRank) throw Error(ErrorKind::value, "[from_dlpack] a tensor has at most 8 dimensions");
  const Shape shape(t.shape, t.ndim);
  auto* data = static_cast<char*>(t.data) + t.byte_offset;
  PyCapsule_SetName(capsule.ptr(), "used_dltensor");
  std::shared_ptr<void> owner(managed, [](void* p) {
    auto* m = static_cast<DLManagedTensor*>(p);
    py::gil_scoped_acquire gil;
    if (m->deleter) m->deleter(m);
  });
  bool contiguous = true;
  if (t.strides)
    for (int i = 0; i < t.ndim; ++i) contiguous &= t.shape[i] == 1 || t.strides[i] == shape.count(i + 1, t.ndim);
  if (contiguous || shape.size() == 0) return Array::wrap(owner, data, {dtype, shape});
  // Strided memory cannot be shared: our arrays are contiguous.
  Array out = Array::empty({dtype, shape});
  const std::int64_t size = size_of(dtype);
  std::int64_t index[Shape::kMaxRank] = {};
  for (std::int64_t i = 0, n = shape.size(); i < n; ++i) {
    std::int64_t offset = 0;
    for (int d = 0; d < t.ndim; ++d) offset += index[d] * t.strides[d];
    std::memcpy(static_cast<char*>(out.data()) + i * size, data + offset * size, static_cast<std::size_t>(size));
    for (int d = t.ndim - 1; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
  }
  return out;
}

}  // namespace

void bind_dlpack(py::module_& m, py::class_<Array>& array) {
  array.def("dlpack", &to_dlpack, "A DLPack capsule that shares the memory.");
  m.def("from_dlpack", &from_dlpack, py::arg("capsule"),
        "An array over a DLPack capsule's memory; a copy if it is strided.");
}

}  // namespace kcore::python
