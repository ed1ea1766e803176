#pragma once

// Which tokens of which sequences the next pass of generation computes. Host work alone: knows no model and no backend.
//
// Sequences stand in slots of the cache. A pass takes one token of each sequence that is being continued, and fills up with prompts, the
// longer ones in parts. A slot that falls free is given to the next prompt for the very next pass. A prompt whose beginning stands in some
// slot already, of a sequence that lives or of one that is finished, takes keys and values over from there; where that slot is still being
// filled, the prompt waits for it and later ones pass by. So what prompts have in common is computed once.
//
// Nothing here changes what a sequence is given to read, and a backend computes each row from that alone: answers depend on neither order
// nor neighbours.

#include <cstdint>
#include <vector>

#include "model/model.h"

namespace sftlab {

struct SchedulerLimits {
  int32_t slots = 1;      ///< sequences at a time
  int32_t capacity = 1;   ///< tokens of a slot; no prompt is longer
  int32_t passRows = 1;   ///< tokens of a pass; at least `slots`
};

/// Keys and values of the first `length` tokens, to be copied from slot to slot.
struct PrefixCopy {
  int32_t from, to, length;
};

/// What one pass has to do: first the copies in their order, then the rows.
struct PassPlan {
  std::vector<PrefixCopy> copies;
  std::vector<int32_t> tokens, positions, slots;  ///< of each row; rows of one sequence follow each other
  std::vector<int32_t> last;                      ///< rows whose next token is to be drawn, rising
  std::vector<int32_t> lastPositions, lastSlots;
  std::vector<RandomStream> streams;  ///< of each of `last`
};

class Scheduler {
 public:
  /// Borrows the prompts for its lifetime.
  Scheduler(const std::vector<std::vector<int32_t>>& prompts, const GenerateOptions& options, const SchedulerLimits& limits);

  /// Makes the plan of the next pass. False when all sequences are finished.
  bool next(PassPlan& plan);
  /// What was drawn for the plan's `last`, in its order.
  void receive(const PassPlan& plan, const std::vector<int32_t>& tokens, const std::vector<float>& entropies,
               const std::vector<float>& logProbabilities);
  /// The sequences, in the order of their prompts.
  std::vector<Generated> take() { return std::move(results_); }

 private:
  static constexpr int32_t kFree = -1;

  struct Slot {
    int32_t prompt = kFree;        ///< whose sequence it holds; of a free slot, the tokens that were computed stay
    int32_t computed = 0;          ///< tokens whose keys and values are in the cache
    std::vector<int32_t> tokens;   ///< all that are known
  };
  struct Source {
    int32_t slot = kFree, computed = 0;  ///< the longest beginning that can be copied now
    int32_t promised = 0;                ///< the longest that some slot will hold
  };

  Source find(const std::vector<int32_t>& prompt) const;
  void admit(PassPlan& plan);
  void seat(int32_t prompt, const Source& source, PassPlan& plan);
  void addRows(int32_t slot, int32_t count, PassPlan& plan) const;
  bool stops(int32_t token) const;

  const std::vector<std::vector<int32_t>>& prompts_;
  GenerateOptions options_;
  SchedulerLimits limits_;
  std::vector<Slot> slots_;
  std::vector<int32_t> waiting_;  ///< prompts, in order
  std::vector<int32_t> seated_;   ///< slots in use, in the order of admission
  std::vector<Generated> results_;
};

}  // namespace sftlab
