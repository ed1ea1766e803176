// Generation with a cache of keys and values. Prompts are admitted as slots fall free and prefilled together as one flat batch; then all
// live sequences take one token a pass. What a sequence draws depends on the seed, its own number and position alone, never on its
// neighbours' streams.

#include <algorithm>

#include "io/error.h"
#include "model/decoder.h"

namespace sftlab {

namespace {

constexpr int64_t kSlots = 64;
constexpr int64_t kPrefillTokens = 8192;             ///< of one flat batch, unless a single prompt is longer
constexpr int64_t kCacheBytes = int64_t{4} << 30;    ///< of all layers together, unless a single sequence needs more

struct Live {
  size_t prompt;     ///< index of its prompt
  int32_t slot, length;  ///< tokens so far, the last of which the model has not seen
};

/// Caches for all layers, released together.
class Caches {
 public:
  Caches(std::shared_ptr<Backend> backend, const ModelConfig& config, int64_t slots, int32_t capacity)
      : memory_(std::move(backend)) {
    const int64_t width = int64_t{config.kvHeads} * config.headSize;
    for (int32_t i = 0; i < config.layers; ++i) {
      layers_.push_back({memory_.take(slots * capacity, width), memory_.take(slots * capacity, width), capacity});
    }
  }
  const std::vector<KeyValueCache>& layers() const { return layers_; }

 private:
  Arena memory_;
  std::vector<KeyValueCache> layers_;
};

}  // namespace

Decoder::Drawn Decoder::step(const Batch& batch, const std::vector<int32_t>& positions, const std::vector<int32_t>& slots,
                             bool cached, const std::vector<int32_t>& last, const std::vector<RandomStream>& streams,
                             const GenerateOptions& options, const std::vector<KeyValueCache>& caches) {
  const int32_t* tokens;
  Pass pass = begin(batch, false, tokens);
  pass.positions = arena_.put(positions);
  pass.caches = &caches;
  pass.slots = arena_.put(slots);
  pass.cached = cached;
  pass.dtype = DType::f32;  // as the cache
  const Tensor hidden = forward(pass, tokens, {}, false);
  const auto count = static_cast<int64_t>(last.size());
  const Tensor logits = headLogits(pass, parameters_, hidden, arena_.put(last), count);
  auto* const drawn = static_cast<int32_t*>(arena_.takeBytes(last.size() * sizeof(int32_t)));
  const Tensor entropy = arena_.take(count, 1), logProbability = arena_.take(count, 1);
  backend_->sample(logits, options.sampling, arena_.put(streams), drawn, entropy.f32(), logProbability.f32());
  Drawn result{std::vector<int32_t>(last.size()), std::vector<float>(last.size()), std::vector<float>(last.size())};
  backend_->download(result.tokens.data(), drawn, last.size() * sizeof(int32_t));
  backend_->download(result.entropies.data(), entropy.data, entropy.bytes());
  backend_->download(result.logProbabilities.data(), logProbability.data, logProbability.bytes());
  return result;
}

std::vector<Generated> Decoder::generate(const std::vector<std::vector<int32_t>>& prompts, const GenerateOptions& options) {
  std::vector<Generated> results(prompts.size());
  if (prompts.empty() || options.maxNewTokens <= 0) return results;
  int64_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, static_cast<int64_t>(prompt.size()));
  if (longest > config_.maxPositions) {
    throw Error("a prompt of " + std::to_string(longest) + " tokens is longer than the model's " +
                std::to_string(config_.maxPositions) + " positions");
  }
  const auto capacity =
      static_cast<int32_t>(std::min<int64_t>(longest + options.maxNewTokens, config_.maxPositions));
  growRope(capacity);
  const int64_t bytesPerSlot = int64_t{2} * config_.layers * capacity * config_.kvHeads * config_.headSize * 4;
  const int64_t slotCount = std::clamp<int64_t>(kCacheBytes / bytesPerSlot, 1,
                                                std::min<int64_t>(kSlots, static_cast<int64_t>(prompts.size())));
  const Caches caches(backend_, config_, slotCount, capacity);
  std::vector<int32_t> freeSlots;
  for (int64_t s = slotCount - 1; s >= 0; --s) freeSlots.push_back(static_cast<int32_t>(s));

  std::vector<Live> live;
  size_t next = 0;
  const auto streamOf = [&](size_t prompt) {
    return RandomStream{options.seed, (static_cast<uint64_t>(prompt) << 32) + results[prompt].tokens.size()};
  };
  // Takes what was drawn for `live[from...]`; finished sequences leave.
  const auto receive = [&](const Drawn& drawn, size_t from) {
    std::vector<Live> rest(live.begin(), live.begin() + static_cast<std::ptrdiff_t>(from));
    for (size_t i = from; i < live.size(); ++i) {
      Live& sequence = live[i];
      Generated& result = results[sequence.prompt];
      result.tokens.push_back(drawn.tokens[i - from]);
      result.entropies.push_back(drawn.entropies[i - from]);
      result.logProbabilities.push_back(drawn.logProbabilities[i - from]);
      ++sequence.length;
      result.stopped = std::find(options.stopTokens.begin(), options.stopTokens.end(), result.tokens.back()) !=
                       options.stopTokens.end();
      const bool full = static_cast<int32_t>(result.tokens.size()) >= options.maxNewTokens || sequence.length > capacity;
      if (result.stopped || full) {
        freeSlots.push_back(sequence.slot);
      } else {
        rest.push_back(sequence);
      }
    }
    live = std::move(rest);
  };

  while (next < prompts.size() || !live.empty()) {
    std::vector<int32_t> tokens, offsets{0}, positions, slots, last;
    std::vector<RandomStream> streams;
    const size_t before = live.size();
    while (next < prompts.size() && !freeSlots.empty() &&
           (tokens.empty() || static_cast<int64_t>(tokens.size() + prompts[next].size()) <= kPrefillTokens)) {
      const auto& prompt = prompts[next];
      const int32_t slot = freeSlots.back();
      freeSlots.pop_back();
      tokens.insert(tokens.end(), prompt.begin(), prompt.end());
      for (size_t i = 0; i < prompt.size(); ++i) {
        positions.push_back(static_cast<int32_t>(i));
        slots.push_back(slot);
      }
      offsets.push_back(static_cast<int32_t>(tokens.size()));
      last.push_back(static_cast<int32_t>(tokens.size()) - 1);
      streams.push_back(streamOf(next));
      live.push_back({next++, slot, static_cast<int32_t>(prompt.size())});
    }
    const bool prefill = !tokens.empty();
    if (!prefill) {
      for (size_t i = 0; i < live.size(); ++i) {
        tokens.push_back(results[live[i].prompt].tokens.back());
        positions.push_back(live[i].length - 1);
        slots.push_back(live[i].slot);
        offsets.push_back(static_cast<int32_t>(i) + 1);
        last.push_back(static_cast<int32_t>(i));
        streams.push_back(streamOf(live[i].prompt));
      }
    }
    Batch batch;
    batch.tokens = tokens.data();
    batch.size = static_cast<int32_t>(tokens.size());
    batch.offsets = offsets.data();
    batch.sequences = static_cast<int32_t>(offsets.size()) - 1;
    receive(step(batch, positions, slots, !prefill, last, streams, options, caches.layers()), prefill ? before : 0);
  }
  return results;
}

}  // namespace sftlab
