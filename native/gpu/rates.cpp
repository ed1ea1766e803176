// What a card can do, which shares are of: the rate of a large matrix product, that of the products of a model at their real shapes, and
// how fast the other operations of a training step are.
//
//   sft_lab_gpu_rates square [--device cuda:0] [--size 8192]
//   sft_lab_gpu_rates products --model FOLDER [--tokens 16384] [--head ROWS]
//   sft_lab_gpu_rates operations --model FOLDER [--tokens 16384] [--length 2048]
//   sft_lab_gpu_rates generation --model FOLDER [--rows 64] [--length 192]
//
// Prints one JSON object. All by the engine's own backend, so what is measured is what a step calls. Operands are random: zeros would be
// multiplied faster. The median of five rounds counts.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "bench/device.h"
#include "model/arena.h"
#include "model/config.h"

namespace {

using namespace sftlab;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

class Bench {
 public:
  Bench(const std::string& device, int repeats) : backend(bench::device(device, 0)), arena(backend), repeats_(repeats) {
    half = backend->multiplies(DType::bf16) ? DType::bf16 : DType::f32;
  }

  Tensor random(int64_t rows, int64_t cols, DType dtype) {
    const Tensor out = arena.take(rows, cols, dtype);
    const ArenaScope scope(arena);
    // Piece by piece, so that what is drawn in f32 takes little memory beside.
    const int64_t each = std::max<int64_t>(1, std::min(rows, (int64_t{1} << 24) / cols));
    const Tensor piece = arena.take(each, cols);
    for (int64_t first = 0; first < rows; first += each) {
      const int64_t count = std::min(each, rows - first);
      backend->fillNormal(piece.slice(0, count), 1, {11, ++stream_});
      backend->copy(out.slice(first, count), piece.slice(0, count));
    }
    return out;
  }

  /// Seconds of one call.
  double time(const std::function<void()>& call) {
    call();
    backend->synchronize();
    double times[5];
    for (double& seconds : times) {
      const auto start = Clock::now();
      for (int i = 0; i < repeats_; ++i) call();
      backend->synchronize();
      seconds = std::chrono::duration<double>(Clock::now() - start).count() / repeats_;
    }
    std::sort(std::begin(times), std::end(times));
    return times[2];
  }

  std::shared_ptr<Backend> backend;
  Arena arena;
  DType half;

 private:
  int repeats_;
  uint64_t stream_ = 0;
};

json square(Bench& bench, int64_t size) {
  const Tensor a = bench.random(size, size, bench.half), b = bench.random(size, size, bench.half);
  const Tensor out = bench.arena.take(size, size, bench.half);
  const double seconds = bench.time([&] { bench.backend->matmul(out, a, Transpose::no, b, Transpose::yes, 1, 0); });
  return {{"size", size}, {"tflops", 2 * std::pow(static_cast<double>(size), 3) / seconds / 1e12}};
}

/// The three products of each linear layer, those that share their input as one: forward, gradient of the input, gradient of the weight (added
/// to, in f32).
json products(Bench& bench, const ModelConfig& c, int64_t tokens, int64_t headRows) {
  if (headRows == 0) headRows = std::min(tokens, bench.backend->headRows(c.vocabularySize));
  struct Layer {
    const char* name;
    int64_t rows, in, out, times;
  };
  const int64_t queries = int64_t{c.heads} * c.headSize, keys = int64_t{c.kvHeads} * c.headSize;
  const Layer layers[] = {{"q, k, v", tokens, c.hiddenSize, queries + 2 * keys, c.layers},
                          {"o", tokens, queries, c.hiddenSize, c.layers},
                          {"gate, up", tokens, c.hiddenSize, 2 * c.intermediateSize, c.layers},
                          {"down", tokens, c.intermediateSize, c.hiddenSize, c.layers},
                          {"head", headRows, c.hiddenSize, c.vocabularySize, (tokens + headRows - 1) / headRows}};
  json list = json::array();
  double flop = 0, seconds = 0, frozenSeconds = 0;
  for (const Layer& layer : layers) {
    const ArenaScope scope(bench.arena);
    const bool head = std::string(layer.name) == "head";
    const Tensor x = bench.random(layer.rows, layer.in, bench.half), dout = bench.random(layer.rows, layer.out, bench.half);
    const Tensor weight = bench.random(layer.out, layer.in, bench.half);
    const Tensor out = bench.arena.take(layer.rows, layer.out, head ? DType::f32 : bench.half);
    const Tensor dx = bench.arena.take(layer.rows, layer.in), dweight = bench.arena.take(layer.out, layer.in);
    bench.backend->zero(dweight);
    const double each = 2.0 * static_cast<double>(layer.rows) * static_cast<double>(layer.in) * static_cast<double>(layer.out);
    const double forward = bench.time([&] { bench.backend->matmul(out, x, Transpose::no, weight, Transpose::yes, 1, 0); });
    const double input = bench.time([&] { bench.backend->matmul(dx, dout, Transpose::no, weight, Transpose::no, 1, 0); });
    const double gradient = bench.time([&] { bench.backend->matmul(dweight, dout, Transpose::yes, x, Transpose::no, 1, 1); });
    list.push_back({{"layer", layer.name}, {"forward_tflops", each / forward / 1e12}, {"input_tflops", each / input / 1e12},
                    {"weight_tflops", each / gradient / 1e12}});
    const auto times = static_cast<double>(layer.times);
    flop += 3 * each * times;
    seconds += (forward + input + gradient) * times;
    frozenSeconds += (forward + input) * times;
  }
  return {{"shapes", list}, {"full_tflops", flop / seconds / 1e12}, {"lora_tflops", flop * 2 / 3 / frozenSeconds / 1e12},
          {"full_seconds", seconds}, {"lora_seconds", frozenSeconds}};
}

json operations(Bench& bench, const ModelConfig& c, int64_t tokens, int32_t length) {
  Backend& backend = *bench.backend;
  Arena& arena = bench.arena;
  json list = json::array();
  const auto moved = [&](const char* name, double bytes, const std::function<void()>& call) {
    const double seconds = bench.time(call);
    list.push_back({{"operation", name}, {"microseconds", seconds * 1e6}, {"gigabytes_per_second", bytes / seconds / 1e9}});
  };
  const DType half = bench.half;
  const auto width = static_cast<double>(sizeOf(half));
  {
    const ArenaScope scope(arena);
    const Tensor x = bench.random(tokens, c.hiddenSize, DType::f32), normed = arena.take(tokens, c.hiddenSize, half);
    const Tensor rstd = arena.take(tokens, 1), weight = bench.random(1, c.hiddenSize, DType::f32), dx = bench.random(tokens, c.hiddenSize, DType::f32);
    const Tensor dweight = bench.random(1, c.hiddenSize, DType::f32), dout = bench.random(tokens, c.hiddenSize, DType::f32);
    const auto size = static_cast<double>(x.size());
    moved("norm", size * (4 + width), [&] { backend.rmsNorm(normed, rstd, x, weight, 1e-6f); });
    const Tensor rounded = half == DType::bf16 ? normed : Tensor{};
    moved("norm, backward", size * (rounded ? 18 : 16), [&] { backend.rmsNormBackward(dx, dweight, dout, x, rstd, weight, rounded); });
    moved("copy", size * 8, [&] { backend.copy(dx, x); });
    moved("copy to bf16", size * (4 + width), [&] { backend.copy(normed, x); });
    std::vector<int32_t> ids(static_cast<size_t>(tokens));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(std::pow(static_cast<double>(i * 7919 % ids.size()) / static_cast<double>(ids.size()), 3) * c.vocabularySize);
    const int32_t* const place = arena.put(ids);
    const Tensor table = bench.random(c.vocabularySize, c.hiddenSize, DType::f32);
    moved("embedding", size * 8, [&] { backend.gatherRows(dx, table, place); });
    moved("embedding, backward", size * 12, [&] { backend.gatherRowsBackward(table, dout, place); });
  }
  {
    const ArenaScope scope(arena);
    const Tensor gate = bench.random(tokens, c.intermediateSize, half), up = bench.random(tokens, c.intermediateSize, half);
    const Tensor out = arena.take(tokens, c.intermediateSize, half);
    const auto size = static_cast<double>(gate.size()) * width;
    moved("swiglu", 3 * size, [&] { backend.swiglu(out, gate, up); });
    moved("swiglu, backward", 6 * size, [&] { backend.swigluBackward(gate, up, out, out, gate, up); });
    moved("dropout", 2 * size, [&] { backend.dropout(out, gate, 0.05f, {1, 2}); });
    const Tensor bias = bench.random(1, c.intermediateSize, DType::f32);
    moved("bias, backward", size, [&] { backend.addBiasBackward(bias, gate); });
    const Tensor b = bench.random(c.intermediateSize, 16, half), low = bench.random(tokens, 16, half);
    const Tensor dlow = arena.take(tokens, 16, half), db = bench.random(c.intermediateSize, 16, DType::f32);
    moved("low rank, backward", size, [&] { backend.lowRankBackward(dlow, db, gate, b, low, 1); });
    moved("low rank, backward, by two products", size, [&] { backend.Backend::lowRankBackward(dlow, db, gate, b, low, 1); });
  }
  {
    const ArenaScope scope(arena);
    const int64_t queries = int64_t{c.heads} * c.headSize, keys = int64_t{c.kvHeads} * c.headSize;
    const Tensor q = bench.random(tokens, queries, half), k = bench.random(tokens, keys, half), v = bench.random(tokens, keys, half);
    const Tensor dq = arena.take(tokens, queries, half), dk = arena.take(tokens, keys, half), dv = arena.take(tokens, keys, half);
    const Tensor out = arena.take(tokens, queries, half), lse = arena.take(tokens, c.heads), dout = bench.random(tokens, queries, half);
    std::vector<int32_t> offsets, positions(static_cast<size_t>(tokens));
    for (int32_t at = 0; at < tokens; at += length) offsets.push_back(at);
    offsets.push_back(static_cast<int32_t>(tokens));
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i) % length;
    const Sequences sequences{offsets.data(), arena.put(offsets), static_cast<int32_t>(offsets.size()) - 1, length};
    const AttentionShape shape{c.heads, c.kvHeads, c.headSize, 1 / std::sqrt(static_cast<float>(c.headSize)), true, 0};
    const Tensor table = bench.random(length, c.headSize, DType::f32);
    const int32_t* const places = arena.put(positions);
    moved("rope", static_cast<double>(q.size()) * 2 * width, [&] { backend.rope(q, table, places, c.headSize, false); });
    const double flop = 2.0 * static_cast<double>(tokens) * length * static_cast<double>(queries);  // QK^T and PV, half of each
    const auto rated = [&](const char* name, double work, const std::function<void()>& call) {
      const double seconds = bench.time(call);
      list.push_back({{"operation", name}, {"microseconds", seconds * 1e6}, {"tflops", work / seconds / 1e12}});
    };
    rated("attention", flop, [&] { backend.attention(out, lse, q, k, v, shape, sequences, {}); });
    rated("attention, backward", 2.5 * flop, [&] { backend.attentionBackward(dq, dk, dv, dout, out, lse, q, k, v, shape, sequences, {}); });
  }
  {
    const ArenaScope scope(arena);
    const int64_t rows = std::min<int64_t>(tokens, 1024);
    const Tensor logits = bench.random(rows, c.vocabularySize, DType::f32), loss = arena.take(rows, 1), entropy = arena.take(rows, 1);
    const int32_t* const targets = arena.put(std::vector<int32_t>(static_cast<size_t>(rows), 3));
    const float* const weights = arena.put(std::vector<float>(static_cast<size_t>(rows), 1));
    auto* const correct = static_cast<uint8_t*>(arena.takeBytes(static_cast<size_t>(rows)));
    const Tensor gradient = half == DType::f32 ? logits : Tensor{logits.data, rows, logits.cols, 2 * logits.stride, half};
    moved("loss and its gradient", static_cast<double>(logits.size()) * (4 + width), [&] {
      backend.crossEntropy(logits, targets, weights, loss.f32(), entropy.f32(), correct, gradient);
    });
  }
  {
    const ArenaScope scope(arena);
    const int64_t rows = 4 * c.intermediateSize;
    AdamParameter parameter{bench.random(rows, c.hiddenSize, DType::f32), bench.random(rows, c.hiddenSize, DType::f32),
                            bench.random(rows, c.hiddenSize, DType::f32), arena.take(rows, c.hiddenSize), true};
    backend.fill(parameter.second, 1);
    const auto size = static_cast<double>(parameter.value.size());
    moved("AdamW", size * 28, [&] { backend.adamw({parameter}, {1e-6, 0.9, 0.999, 1e-8, 0, 1, 5}); });
    moved("global norm", size * 4, [&] { backend.squaredNorm({parameter.gradient}); });
  }
  return {{"operations", list}};
}

/// What a pass of generation is made of, of one token of each of `rows` sequences that are `length` tokens long: microseconds, started as a
/// pass starts them, each call with weights and a cache of its own as the layers have.
json generation(Bench& bench, const ModelConfig& c, int64_t rows, int32_t length) {
  constexpr int kCalls = 20;
  Backend& backend = *bench.backend;
  Arena& arena = bench.arena;
  json list = json::array();
  const auto rated = [&](const char* name, double bytes, const std::function<void(size_t)>& call) {
    const auto all = [&] {
      for (size_t i = 0; i < kCalls; ++i) call(i);
    };
    all();
    const auto recorded = backend.record(all);
    const double seconds = bench.time([&] { recorded ? void(backend.replay(*recorded)) : all(); }) / kCalls;
    list.push_back({{"operation", name}, {"microseconds", seconds * 1e6}, {"gigabytes_per_second", bytes / seconds / 1e9}});
  };
  const DType half = backend.keepsRounded() ? bench.half : DType::f32;  // as generation computes
  const auto width = static_cast<double>(sizeOf(half));
  const int64_t queries = int64_t{c.heads} * c.headSize, keys = int64_t{c.kvHeads} * c.headSize;
  struct Layer {
    const char* name;
    int64_t in, out;
  };
  for (const Layer& layer : {Layer{"q", c.hiddenSize, queries}, {"k or v", c.hiddenSize, keys}, {"q, k, v", c.hiddenSize, queries + 2 * keys},
                             {"o", queries, c.hiddenSize}, {"gate or up", c.hiddenSize, c.intermediateSize},
                             {"gate, up", c.hiddenSize, 2 * int64_t{c.intermediateSize}}, {"down", c.intermediateSize, c.hiddenSize},
                             {"head", c.hiddenSize, c.vocabularySize}}) {
    const ArenaScope scope(arena);
    const Tensor x = bench.random(rows, layer.in, half), out = arena.take(rows, layer.out, std::string(layer.name) == "head" ? DType::f32 : half);
    std::vector<Tensor> weights;
    for (int64_t taken = 0; weights.size() < kCalls && taken < int64_t{1} << 30; taken += layer.in * layer.out) {
      weights.push_back(bench.random(layer.out, layer.in, half));
    }
    rated(layer.name, static_cast<double>(layer.in * layer.out) * width, [&](size_t i) {
      backend.matmul(out, x, Transpose::no, weights[i % weights.size()], Transpose::yes, 1, 0);
    });
  }
  const ArenaScope scope(arena);
  std::vector<int32_t> slots(static_cast<size_t>(rows));
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<int32_t>(i);
  const int32_t* const slotOf = arena.put(slots);
  const int32_t* const at = arena.put(std::vector<int32_t>(slots.size(), length - 1));
  std::vector<KeyValueCache> caches;
  for (int i = 0; i < kCalls; ++i) caches.push_back({bench.random(rows * length, keys, half), bench.random(rows * length, keys, half), length});
  const Tensor q = bench.random(rows, queries, half), k = bench.random(rows, keys, half), out = arena.take(rows, queries, half);
  const AttentionShape shape{c.heads, c.kvHeads, c.headSize, 1 / std::sqrt(static_cast<float>(c.headSize)), true, 0};
  const Tensor table = bench.random(length, c.headSize, DType::f32), x = bench.random(rows, c.hiddenSize, DType::f32);
  const Tensor normed = arena.take(rows, c.hiddenSize, half), rstd = arena.take(rows, 1), weight = bench.random(1, c.hiddenSize, DType::f32);
  const Tensor gate = bench.random(rows, c.intermediateSize, half), logits = bench.random(rows, c.vocabularySize, DType::f32);
  const Tensor drawn = arena.take(3, rows);
  const RandomStream* const streams = arena.put(std::vector<RandomStream>(slots.size()));
  rated("norm", static_cast<double>(x.size()) * (4 + width), [&](size_t) { backend.rmsNorm(normed, rstd, x, weight, 1e-6f); });
  rated("rope", static_cast<double>(q.size()) * 2 * width, [&](size_t) { backend.rope(q, table, at, c.headSize, false); });
  rated("cache, store", static_cast<double>(k.size()) * 4 * width, [&](size_t i) { backend.cacheStore(caches[i], k, k, slotOf, at); });
  rated("cache, attention", static_cast<double>(2 * rows * length * keys) * width,
        [&](size_t i) { backend.attentionCached(out, q, caches[i], slotOf, at, shape); });
  rated("swiglu", static_cast<double>(gate.size()) * 3 * width, [&](size_t) { backend.swiglu(gate, gate, gate); });
  for (const auto& [name, options] : {std::pair{"greedy choice", SampleOptions{}}, {"choice with top-p", SampleOptions{0.8f, 0, 0.95f}}}) {
    rated(name, static_cast<double>(logits.size()) * 4, [&](size_t) {
      backend.sample(logits, options, streams, reinterpret_cast<int32_t*>(drawn.data), drawn.f32() + rows, drawn.f32() + 2 * rows);
    });
  }
  return {{"generation", list}};
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 2; i + 1 < argc; i += 2) flags[std::string(argv[i]).substr(2)] = argv[i + 1];
  const auto whole = [&](const char* name, int otherwise) { return flags.contains(name) ? std::stoi(flags[name]) : otherwise; };
  const std::string what = argc > 1 ? argv[1] : "";
  Bench bench(flags.contains("device") ? flags["device"] : "cuda:0", whole("repeats", 10));
  json result;
  if (what == "square") {
    result = square(bench, whole("size", 8192));
  } else if (what == "products") {
    result = products(bench, readModelConfig(flags["model"]), whole("tokens", 16'384), whole("head", 0));
  } else if (what == "operations") {
    result = operations(bench, readModelConfig(flags["model"]), whole("tokens", 16'384), whole("length", 2048));
  } else if (what == "generation") {
    result = generation(bench, readModelConfig(flags["model"]), whole("rows", 64), whole("length", 192));
  } else {
    throw std::invalid_argument("say what: square, products, operations or generation");
  }
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::printf("%s\n", nlohmann::json{{"failed", error.what()}}.dump().c_str());
    return 1;
  }
}
