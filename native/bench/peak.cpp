// The machine's own rate of matrix products by oneDNN, which the bench's shares are of:
//
//   sft_lab_bench_peak [--size 2048] [--repeats 20]
//
// Prints one JSON object with GFLOP/s of a square product in fp32 and bf16 (bf16 in, fp32 out, as training does it). The
// fastest of the repeats counts: a peak is what the machine can, not what it did while something else ran.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

namespace {

using dnnl::memory;
using Clock = std::chrono::steady_clock;

/// GFLOP/s of (size, size) times (size, size).
double rate(dnnl::engine& engine, dnnl::stream& stream, memory::data_type type, int64_t size, int repeats) {
  const memory::dims dims{size, size};
  const memory::desc in(dims, type, memory::format_tag::ab), out(dims, memory::data_type::f32, memory::format_tag::ab);
  memory a(in, engine), b(in, engine), c(out, engine);
  // Zeros would be multiplied as fast, but would draw less power.
  for (memory* operand : {&a, &b}) {
    auto* bytes = static_cast<uint8_t*>(operand->get_data_handle());
    for (size_t i = 0; i < in.get_size(); ++i) bytes[i] = static_cast<uint8_t>(0x3c + (i * 7) % 3);
  }
  const dnnl::matmul product(dnnl::matmul::primitive_desc(dnnl::matmul::desc(in, in, out), engine));
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double flops = 2.0 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size);
    best = std::max(best, flops / seconds / 1e9);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  int64_t size = 2048;
  int repeats = 20;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--size") == 0) size = std::atoll(argv[i + 1]);
    if (std::strcmp(argv[i], "--repeats") == 0) repeats = std::atoi(argv[i + 1]);
  }
  try {
    dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    const double fp32 = rate(engine, stream, memory::data_type::f32, size, repeats);
    const double bf16 = rate(engine, stream, memory::data_type::bf16, size, repeats);
    const dnnl_version_t* version = dnnl_version();
    std::printf("{\"size\": %lld, \"fp32\": %.1f, \"bf16\": %.1f, \"oneDNN\": \"%d.%d.%d\"}\n", static_cast<long long>(size),
                fp32, bf16, version->major, version->minor, version->patch);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
