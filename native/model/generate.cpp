// Generation with a cache of keys and values. The scheduler says what a pass computes; every pass, of prompts and of single tokens alike,
// takes the same way: rows are written into the cache and read it. On the CPU passes are so small that its products of few rows serve
// them (cpu/matmul_few.h), and so a row's numbers do not depend on what else is in its pass: the same prompt gets the same answer, bit
// for bit, alone or among others, in whatever order, its prompt in one part or in several, its beginning computed or copied.

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <numeric>
#include <string>

#include "io/cancel.h"
#include "io/error.h"
#include "model/decoder.h"
#include "model/kv_cache.h"

namespace sftlab {

/// What a pass reads to draw, and where it leaves what it drew of each row, in the backend's memory.
struct Decoder::Draw {
  const int32_t *tokens = nullptr, *rows = nullptr;
  const RandomStream* streams = nullptr;
  int64_t count = 0;
  Tensor drawn{};  ///< (3, count), all of 4 bytes: tokens, entropies, log-probabilities
};

/// Passes of one token of each sequence, for a backend that records: as many rows as the next power of two, those that fill up in the
/// cache's spare slot, so that few recordings serve all passes. They stand as long as working memory stays where it is.
struct Decoder::Steps {
  struct Step {
    std::unique_ptr<Recording> recording;
    const void* memory = nullptr;
  };
  std::map<size_t, Step> byRows;
  PassPlan filled;
  bool records = false;
};

Pass Decoder::beginCached(const PassPlan& plan, const KvCache& cache) {
  Pass pass{*backend_, arena_, config_, cache.layers()[0].keys.dtype};
  pass.tokens = static_cast<int64_t>(plan.tokens.size());
  pass.positions = arena_.put(plan.positions);
  pass.rope = rope_;
  pass.caches = &cache.layers();
  pass.slots = arena_.put(plan.slots);
  pass.cached = true;
  return pass;
}

void Decoder::draw(const Pass& pass, const Asked& asked, const SampleOptions& sampling, const Draw& to) {
  const Tensor hidden = forward(pass, to.tokens, asked, false);
  if (to.count == 0) return;
  const Tensor logits = headLogits(pass, parameters_, hidden, to.rows, to.count);
  float* const drawn = to.drawn.f32();
  backend_->sample(logits, sampling, to.streams, reinterpret_cast<int32_t*>(drawn), drawn + to.count, drawn + 2 * to.count);
}

void Decoder::fetch(const Draw& from, Drawn& drawn) {
  const auto count = static_cast<size_t>(from.count);
  drawn.all.resize(3 * count);
  backend_->download(drawn.all.data(), from.drawn.data, from.drawn.bytes());  // at once: each download waits for the device
  const float* const all = drawn.all.data();
  const size_t wanted = drawn.tokens.size();
  std::memcpy(drawn.tokens.data(), all, wanted * sizeof(int32_t));
  std::copy_n(all + count, wanted, drawn.entropies.begin());
  std::copy_n(all + 2 * count, wanted, drawn.logProbabilities.begin());
}

/// Runs the plan's rows through the layers against the cache and draws the tokens that it asks for.
void Decoder::compute(const PassPlan& plan, const SampleOptions& sampling, const KvCache& cache, Drawn& drawn) {
  const Pass pass = beginCached(plan, cache);
  Draw to;
  to.tokens = arena_.put(plan.tokens);
  to.count = static_cast<int64_t>(plan.last.size());
  Asked asked;
  if (to.count == 0) {  // parts of prompts: the last block has to leave keys and values; with one row none of its operations is empty
    const int32_t first = 0;
    asked.rows = arena_.put(&first, 1);
    asked.count = 1;
    asked.queries.positions = pass.positions;
    asked.slots = pass.slots;
  } else if (to.count < pass.tokens) {
    asked.rows = arena_.put(plan.last);
    asked.count = to.count;
    asked.queries.positions = arena_.put(plan.lastPositions);
    asked.slots = arena_.put(plan.lastSlots);
  }
  if (to.count == 0) return draw(pass, asked, sampling, to);
  drawn.rows.resize(plan.last.size());
  std::iota(drawn.rows.begin(), drawn.rows.end(), 0);
  to.rows = arena_.put(drawn.rows);
  to.streams = arena_.put(plan.streams);
  to.drawn = arena_.take(3, to.count);
  draw(pass, asked, sampling, to);
  fetch(to, drawn);
}

/// `compute` where the plan takes one token of each sequence, recorded once for each number of rows.
void Decoder::step(const PassPlan& plan, const SampleOptions& sampling, const KvCache& cache, Steps& steps, Drawn& drawn) {
  const size_t rows = std::bit_ceil(plan.tokens.size());
  PassPlan& filled = steps.filled;
  filled = plan;
  filled.tokens.resize(rows, 0);
  filled.positions.resize(rows, 0);
  filled.slots.resize(rows, cache.spare());
  filled.streams.resize(rows);
  drawn.rows.resize(rows);
  std::iota(drawn.rows.begin(), drawn.rows.end(), 0);
  // All that differs from pass to pass, and always in the same places.
  const Pass pass = beginCached(filled, cache);
  Draw to;
  to.tokens = arena_.put(filled.tokens);
  to.rows = arena_.put(drawn.rows);
  to.streams = arena_.put(filled.streams);
  to.count = pass.tokens;
  to.drawn = arena_.take(3, to.count);
  const auto operations = [&] { draw(pass, {}, sampling, to); };

  // The first pass of its size, and one whose memory was moved, is computed as it comes: it makes what no recording can hold.
  Steps::Step& kept = steps.byRows[rows];
  bool done = false;
  if (kept.memory != to.drawn.data) {
    kept = {nullptr, to.drawn.data};
  } else {
    if (!kept.recording) kept.recording = backend_->record(operations);
    steps.records = kept.recording != nullptr;
    done = kept.recording && backend_->replay(*kept.recording);
    if (!done) kept.recording.reset();
  }
  if (!done) operations();
  fetch(to, drawn);
}

std::vector<Generated> Decoder::generate(const std::vector<std::vector<int32_t>>& prompts, const GenerateOptions& options) {
  if (!options.seeds.empty() && options.seeds.size() != prompts.size()) throw Error("there have to be as many seeds as prompts");
  if (prompts.empty() || options.maxNewTokens <= 0) return std::vector<Generated>(prompts.size());
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  if (longest > static_cast<size_t>(config_.maxPositions)) {
    throw Error("a prompt of " + std::to_string(longest) + " tokens is longer than the model's " +
                std::to_string(config_.maxPositions) + " positions");
  }
  const auto capacity = static_cast<int32_t>(
      std::min<int64_t>(static_cast<int64_t>(longest) + options.maxNewTokens, config_.maxPositions));
  growRope(capacity);
  const int32_t most = options.batch > 0 ? options.batch : backend_->passSequences();
  // Products of few rows on the CPU widen weights in bf16 and compute in f32; a GPU's want bf16 on both sides.
  const DType dtype = backend_->keepsRounded() ? dtype_ : DType::f32;
  const KvCache cache(backend_, config_, dtype, static_cast<int32_t>(std::min(static_cast<size_t>(most), prompts.size())), capacity);
  const int32_t rows = options.passTokens > 0 ? std::min(options.passTokens, backend_->passRows()) : backend_->passRows();
  Scheduler scheduler(prompts, options, {cache.slots(), capacity, std::max(rows, cache.slots())});
  PassPlan plan;
  Drawn drawn;
  Steps steps;
  steps.records = backend_->records();
  while (scheduler.next(plan)) {
    throwIfCancelled();
    for (const PrefixCopy& prefix : plan.copies) cache.copy(prefix);
    arena_.reset();
    drawn.tokens.resize(plan.last.size());
    drawn.entropies.resize(plan.last.size());
    drawn.logProbabilities.resize(plan.last.size());
    if (steps.records && plan.last.size() == plan.tokens.size()) {
      step(plan, options.sampling, cache, steps, drawn);
    } else {
      compute(plan, options.sampling, cache, drawn);
    }
    scheduler.receive(plan, drawn.tokens, drawn.entropies, drawn.logProbabilities);
  }
  return scheduler.take();
}

}  // namespace sftlab
