// Generation with a cache of keys and values. The scheduler says what a pass computes; every pass, of prompts and of single tokens alike,
// takes the same way: rows are written into the cache and read it. On the CPU passes are so small that its products of few rows serve
// them (cpu/matmul_few.h), and so a row's numbers do not depend on what else is in its pass: the same prompt gets the same answer, bit
// for bit, alone or among others, in whatever order, its prompt in one part or in several, its beginning computed or copied.

#include <algorithm>
#include <string>

#include "io/cancel.h"
#include "io/error.h"
#include "model/decoder.h"
#include "model/kv_cache.h"

namespace sftlab {

namespace {

constexpr int32_t kSlots = 64;

}  // namespace

/// Runs the plan's rows through the layers against the cache and draws the tokens that it asks for.
void Decoder::compute(const PassPlan& plan, const SampleOptions& sampling, const KvCache& cache, Drawn& drawn) {
  for (const PrefixCopy& prefix : plan.copies) cache.copy(prefix);
  arena_.reset();
  Pass pass{*backend_, arena_, config_, DType::f32};  // as the cache
  pass.tokens = static_cast<int64_t>(plan.tokens.size());
  pass.positions = arena_.put(plan.positions);
  pass.rope = rope_;
  pass.caches = &cache.layers();
  pass.slots = arena_.put(plan.slots);
  pass.cached = true;
  const auto count = static_cast<int64_t>(plan.last.size());
  Asked asked;
  if (count == 0) {  // parts of prompts: the last block has to leave keys and values; with one row none of its operations is empty
    const int32_t first = 0;
    asked.rows = arena_.put(&first, 1);
    asked.count = 1;
    asked.queries.positions = pass.positions;
    asked.slots = pass.slots;
  } else if (count < pass.tokens) {
    asked.rows = arena_.put(plan.last);
    asked.count = count;
    asked.queries.positions = arena_.put(plan.lastPositions);
    asked.slots = arena_.put(plan.lastSlots);
  }
  const Tensor hidden = forward(pass, arena_.put(plan.tokens), asked, false);
  drawn.tokens.resize(plan.last.size());
  drawn.entropies.resize(plan.last.size());
  drawn.logProbabilities.resize(plan.last.size());
  if (count == 0) return;
  drawn.rows.resize(plan.last.size());
  for (size_t i = 0; i < drawn.rows.size(); ++i) drawn.rows[i] = static_cast<int32_t>(i);
  const Tensor logits = headLogits(pass, parameters_, hidden, arena_.put(drawn.rows), count);
  auto* const tokens = static_cast<int32_t*>(arena_.takeBytes(plan.last.size() * sizeof(int32_t)));
  const Tensor entropy = arena_.take(count, 1), logProbability = arena_.take(count, 1);
  backend_->sample(logits, sampling, arena_.put(plan.streams), tokens, entropy.f32(), logProbability.f32());
  backend_->download(drawn.tokens.data(), tokens, plan.last.size() * sizeof(int32_t));
  backend_->download(drawn.entropies.data(), entropy.data, entropy.bytes());
  backend_->download(drawn.logProbabilities.data(), logProbability.data, logProbability.bytes());
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
  const int32_t most = options.batch > 0 ? options.batch : kSlots;
  const KvCache cache(backend_, config_, static_cast<int32_t>(std::min(static_cast<size_t>(most), prompts.size())), capacity);
  const int32_t rows = options.passTokens > 0 ? std::min(options.passTokens, backend_->passRows()) : backend_->passRows();
  Scheduler scheduler(prompts, options, {cache.slots(), capacity, std::max(rows, cache.slots())});
  PassPlan plan;
  Drawn drawn;
  while (scheduler.next(plan)) {
    throwIfCancelled();
    compute(plan, options.sampling, cache, drawn);
    scheduler.receive(plan, drawn.tokens, drawn.entropies, drawn.logProbabilities);
  }
  return scheduler.take();
}

}  // namespace sftlab
