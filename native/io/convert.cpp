// Half-precision formats to fp32, by integer arithmetic, so that every value (subnormals, infinities, NaN) is exact.

#include <cstring>

#include "io/error.h"
#include "io/safetensors.h"

namespace sftlab {

namespace {

float fromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

float halfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 0x1f;
  uint32_t mantissa = half & 0x3ff;
  if (exponent == 0x1f) return fromBits(sign | 0x7f800000 | mantissa << 13);
  if (exponent != 0) return fromBits(sign | (exponent + 112) << 23 | mantissa << 13);
  if (mantissa == 0) return fromBits(sign);
  uint32_t shift = 0;  // a subnormal: move its leading 1 to the hidden place
  while (!(mantissa & 0x400)) {
    mantissa <<= 1;
    ++shift;
  }
  return fromBits(sign | (113 - shift) << 23 | (mantissa & 0x3ff) << 13);
}

uint16_t load16(const std::byte* from) {
  uint16_t value;
  std::memcpy(&value, from, 2);  // tensors need not be aligned in the file
  return value;
}

}  // namespace

void toFloat(const FileTensor& tensor, int64_t first, int64_t count, float* out) {
  switch (tensor.dtype) {
    case FileDType::f32:
      std::memcpy(out, tensor.data + first * 4, static_cast<size_t>(count) * 4);
      return;
    case FileDType::bf16:
      for (int64_t i = 0; i < count; ++i) {
        out[i] = fromBits(static_cast<uint32_t>(load16(tensor.data + (first + i) * 2)) << 16);
      }
      return;
    case FileDType::f16:
      for (int64_t i = 0; i < count; ++i) out[i] = halfToFloat(load16(tensor.data + (first + i) * 2));
      return;
    case FileDType::other:
      throw Error("this tensor is stored as " + tensor.dtypeName + "; F32, F16 and BF16 can be read", tensor.file);
  }
}

}  // namespace sftlab
