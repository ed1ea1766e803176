#include "model/scheduler.h"

#include <algorithm>

namespace sftlab {

namespace {

/// Prompts looked at for each pass: those behind them are not in a hurry.
constexpr size_t kLookAhead = 64;
/// Tokens in common, beyond those computed, that are worth a prompt's waiting for a pass or a few.
constexpr int32_t kWorthWaiting = 16;

int32_t commonPrefix(const std::vector<int32_t>& a, const std::vector<int32_t>& b, size_t most) {
  const auto end = a.begin() + static_cast<std::ptrdiff_t>(std::min({a.size(), b.size(), most}));
  return static_cast<int32_t>(std::mismatch(a.begin(), end, b.begin()).first - a.begin());
}

}  // namespace

Scheduler::Scheduler(const std::vector<std::vector<int32_t>>& prompts, const GenerateOptions& options, const SchedulerLimits& limits)
    : prompts_(prompts), options_(options), limits_(limits), slots_(static_cast<size_t>(limits.slots)), results_(prompts.size()) {
  for (Slot& slot : slots_) slot.tokens.reserve(static_cast<size_t>(limits.capacity) + 1);
  seated_.reserve(slots_.size());
  if (options.maxNewTokens <= 0) return;
  for (size_t i = 0; i < prompts.size(); ++i) waiting_.push_back(static_cast<int32_t>(i));
}

bool Scheduler::stops(int32_t token) const {
  return std::find(options_.stopTokens.begin(), options_.stopTokens.end(), token) != options_.stopTokens.end();
}

Scheduler::Source Scheduler::find(const std::vector<int32_t>& prompt) const {
  Source best;
  for (size_t s = 0; s < slots_.size(); ++s) {
    const Slot& slot = slots_[s];
    // The prompt's last token is computed in any case: the first new token is drawn from it.
    const int32_t common = commonPrefix(prompt, slot.tokens, prompt.size() - 1);
    const int32_t computed = std::min(common, slot.computed);
    const bool free = slot.prompt == kFree;
    // Of equals a free slot: then nothing has to be copied.
    const bool better = computed > best.computed ||
                        (computed == best.computed && computed > 0 && free && slots_[static_cast<size_t>(best.slot)].prompt != kFree);
    if (better) {
      best.slot = static_cast<int32_t>(s);
      best.computed = computed;
    }
    best.promised = std::max(best.promised, free ? computed : common);
  }
  return best;
}

void Scheduler::seat(int32_t prompt, const Source& source, PassPlan& plan) {
  const std::vector<int32_t>& tokens = prompts_[static_cast<size_t>(prompt)];
  int32_t place = source.slot;
  if (place == kFree || slots_[static_cast<size_t>(place)].prompt != kFree) {
    // The free slot that holds least.
    place = kFree;
    for (size_t s = 0; s < slots_.size(); ++s) {
      if (slots_[s].prompt != kFree) continue;
      if (place == kFree || slots_[s].computed < slots_[static_cast<size_t>(place)].computed) place = static_cast<int32_t>(s);
    }
    if (source.computed > 0) plan.copies.push_back({source.slot, place, source.computed});
  }
  Slot& slot = slots_[static_cast<size_t>(place)];
  slot.prompt = prompt;
  slot.computed = source.computed;
  slot.tokens.assign(tokens.begin(), tokens.end());
  seated_.push_back(place);
  Generated& result = results_[static_cast<size_t>(prompt)];
  const auto most = static_cast<size_t>(std::min(options_.maxNewTokens, limits_.capacity + 1 - static_cast<int32_t>(tokens.size())));
  result.tokens.reserve(most);
  result.entropies.reserve(most);
  result.logProbabilities.reserve(most);
}

void Scheduler::admit(PassPlan& plan) {
  size_t seen = 0;
  for (size_t i = 0; i < waiting_.size() && seen < kLookAhead && seated_.size() < slots_.size(); ++seen) {
    const int32_t prompt = waiting_[i];
    const Source source = find(prompts_[static_cast<size_t>(prompt)]);
    if (source.promised >= source.computed + kWorthWaiting) {
      ++i;
      continue;
    }
    seat(prompt, source, plan);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Scheduler::addRows(int32_t slot, int32_t count, PassPlan& plan) const {
  const Slot& from = slots_[static_cast<size_t>(slot)];
  for (int32_t i = 0; i < count; ++i) {
    plan.tokens.push_back(from.tokens[static_cast<size_t>(from.computed + i)]);
    plan.positions.push_back(from.computed + i);
    plan.slots.push_back(slot);
  }
  if (from.computed + count < static_cast<int32_t>(from.tokens.size())) return;
  plan.last.push_back(static_cast<int32_t>(plan.tokens.size()) - 1);
  plan.lastPositions.push_back(plan.positions.back());
  plan.lastSlots.push_back(slot);
  const auto prompt = static_cast<size_t>(from.prompt);
  const uint64_t drawn = results_[prompt].tokens.size();
  if (options_.seeds.empty()) {
    plan.streams.push_back({options_.seed, (static_cast<uint64_t>(prompt) << 32) + drawn});
  } else {
    plan.streams.push_back({options_.seeds[prompt], drawn});
  }
}

bool Scheduler::next(PassPlan& plan) {
  plan.copies.clear();
  plan.tokens.clear();
  plan.positions.clear();
  plan.slots.clear();
  plan.last.clear();
  plan.lastPositions.clear();
  plan.lastSlots.clear();
  plan.streams.clear();
  admit(plan);
  if (seated_.empty()) return false;
  const auto pending = [&](int32_t slot) {
    const Slot& of = slots_[static_cast<size_t>(slot)];
    return static_cast<int32_t>(of.tokens.size()) - of.computed;
  };
  // Sequences that are being continued first: there is always room for them.
  int32_t room = limits_.passRows;
  for (const int32_t slot : seated_) {
    if (pending(slot) != 1) continue;
    addRows(slot, 1, plan);
    --room;
  }
  for (const int32_t slot : seated_) {
    const int32_t count = std::min(pending(slot), room);
    if (pending(slot) == 1 || count == 0) continue;
    addRows(slot, count, plan);
    room -= count;
  }
  return true;
}

void Scheduler::receive(const PassPlan& plan, const std::vector<int32_t>& tokens, const std::vector<float>& entropies,
                        const std::vector<float>& logProbabilities) {
  for (size_t i = 0; i < plan.slots.size(); ++i) slots_[static_cast<size_t>(plan.slots[i])].computed = plan.positions[i] + 1;
  for (size_t i = 0; i < plan.last.size(); ++i) {
    Slot& slot = slots_[static_cast<size_t>(plan.lastSlots[i])];
    Generated& result = results_[static_cast<size_t>(slot.prompt)];
    result.tokens.push_back(tokens[i]);
    result.entropies.push_back(entropies[i]);
    result.logProbabilities.push_back(logProbabilities[i]);
    result.stopped = stops(tokens[i]);
    slot.tokens.push_back(tokens[i]);
    // The last token needs no place in the cache: nothing is drawn after it.
    const bool full = static_cast<int32_t>(result.tokens.size()) >= options_.maxNewTokens ||
                      static_cast<int32_t>(slot.tokens.size()) > limits_.capacity;
    if (result.stopped || full) slot.prompt = kFree;
  }
  std::erase_if(seated_, [&](int32_t slot) { return slots_[static_cast<size_t>(slot)].prompt == kFree; });
}

}  // namespace sftlab
