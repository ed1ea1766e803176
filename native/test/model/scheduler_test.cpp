// The scheduler alone: a stand-in for the model answers each sequence by its tokens, and what a slot holds is followed.

#include "model/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace sftlab {
namespace {

using Prompts = std::vector<std::vector<int32_t>>;

std::vector<int32_t> range(int32_t first, int32_t count) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < count; ++i) tokens.push_back(first + i);
  return tokens;
}

std::vector<int32_t> joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The next token after these: something that depends on all of them.
int32_t following(const std::vector<int32_t>& tokens) {
  uint32_t hash = 7;
  for (const int32_t token : tokens) hash = hash * 31 + static_cast<uint32_t>(token);
  return static_cast<int32_t>(hash >> 8) % 100;
}

/// Runs a scheduler to its end over a cache of token ids, and checks every plan on the way.
struct Simulation {
  std::vector<Generated> results;
  int64_t rows = 0, copied = 0;
  int passes = 0, mostSequences = 0;

  Simulation(const Prompts& prompts, const GenerateOptions& options, const SchedulerLimits& limits) {
    Scheduler scheduler(prompts, options, limits);
    std::vector<std::vector<int32_t>> cache(static_cast<size_t>(limits.slots),
                                            std::vector<int32_t>(static_cast<size_t>(limits.capacity), -1));
    PassPlan plan;
    while (scheduler.next(plan)) {
      ++passes;
      EXPECT_FALSE(plan.tokens.empty());
      EXPECT_LE(static_cast<int32_t>(plan.tokens.size()), limits.passRows);
      EXPECT_TRUE(std::is_sorted(plan.last.begin(), plan.last.end()));
      for (const auto& [from, to, length] : plan.copies) {
        std::copy_n(cache[static_cast<size_t>(from)].begin(), length, cache[static_cast<size_t>(to)].begin());
        copied += length;
      }
      std::map<int32_t, int> sequences;
      for (size_t i = 0; i < plan.tokens.size(); ++i) {
        cache.at(static_cast<size_t>(plan.slots[i])).at(static_cast<size_t>(plan.positions[i])) = plan.tokens[i];
        ++sequences[plan.slots[i]];
      }
      mostSequences = std::max(mostSequences, static_cast<int>(sequences.size()));
      rows += static_cast<int64_t>(plan.tokens.size());
      std::vector<int32_t> tokens;
      for (size_t i = 0; i < plan.last.size(); ++i) {
        const auto row = static_cast<size_t>(plan.last[i]);
        EXPECT_EQ(plan.lastPositions[i], plan.positions[row]);
        EXPECT_EQ(plan.lastSlots[i], plan.slots[row]);
        const auto& held = cache[static_cast<size_t>(plan.slots[row])];
        tokens.push_back(following({held.begin(), held.begin() + plan.positions[row] + 1}));
      }
      const std::vector<float> zeros(tokens.size());
      scheduler.receive(plan, tokens, zeros, zeros);
    }
    results = scheduler.take();
  }
};

std::vector<int32_t> expected(std::vector<int32_t> tokens, const GenerateOptions& options) {
  std::vector<int32_t> found;
  while (static_cast<int32_t>(found.size()) < options.maxNewTokens) {
    found.push_back(following(tokens));
    tokens.push_back(found.back());
    if (std::count(options.stopTokens.begin(), options.stopTokens.end(), found.back()) > 0) break;
  }
  return found;
}

GenerateOptions upTo(int32_t tokens, std::vector<int32_t> stops = {}) {
  GenerateOptions options;
  options.maxNewTokens = tokens;
  options.stopTokens = std::move(stops);
  return options;
}

TEST(Scheduler, WhatPromptsHaveInCommonIsComputedOnce) {
  Prompts prompts;
  const auto common = range(0, 100);
  for (int i = 0; i < 8; ++i) prompts.push_back(joined(common, range(1000 + 10 * i, 5 + i)));
  const Simulation run(prompts, upTo(3), {8, 200, 256});
  // 100 in common, 5 to 12 of each prompt's own, and two of the three new tokens are read again.
  EXPECT_EQ(run.rows, 100 + (5 + 12) * 8 / 2 + 2 * 8);
  EXPECT_EQ(run.copied, 100 * 7);
  for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(run.results[i].tokens, expected(prompts[i], upTo(3)));
}

TEST(Scheduler, TheSamePromptAgainCostsItsLastTokenAlone) {
  const Prompts prompts(5, range(0, 40));
  const Simulation run(prompts, upTo(1), {5, 50, 64});
  EXPECT_EQ(run.rows, 40 + 4);
}

TEST(Scheduler, TheSlotOfAFinishedSequenceKeepsWhatTheNextOneShares) {
  const Prompts prompts{range(0, 40), joined(range(0, 30), range(500, 4)), range(0, 35)};
  const Simulation run(prompts, upTo(2), {1, 50, 64});
  EXPECT_EQ(run.copied, 0);
  // Each reads one of its two new tokens; the third shares with the second, which overwrote the first from token 30 on.
  EXPECT_EQ(run.rows, 41 + 5 + 6);
  EXPECT_EQ(run.results[2].tokens, expected(prompts[2], upTo(2)));
}

TEST(Scheduler, APromptThatWaitsLetsOthersPass) {
  const Prompts prompts{range(0, 300), joined(range(0, 290), range(900, 5)), range(400, 8)};
  Scheduler scheduler(prompts, upTo(1), {3, 400, 64});
  PassPlan plan;
  ASSERT_TRUE(scheduler.next(plan));
  EXPECT_EQ(std::count(plan.slots.begin(), plan.slots.end(), 0), 64);
  std::vector<bool> seen(3);
  for (int pass = 0; pass < 20; ++pass) {
    for (const int32_t token : plan.tokens) {
      seen[1] = seen[1] || token >= 900;
      if (token < 300) continue;
      EXPECT_FALSE(token < 900 && seen[1]) << "the third prompt has nothing to wait for";
      seen[2] = seen[2] || token < 900;
    }
    scheduler.receive(plan, std::vector<int32_t>(plan.last.size()), std::vector<float>(plan.last.size()),
                      std::vector<float>(plan.last.size()));
    if (!scheduler.next(plan)) break;
  }
  EXPECT_TRUE(seen[1] && seen[2]);
}

TEST(Scheduler, AFreePlaceIsTakenInTheNextPass) {
  // Answers of uneven length: with two slots, both are in use in every pass but those of the last sequence.
  Prompts prompts;
  for (int i = 0; i < 9; ++i) prompts.push_back(range(50 * i, 2));
  const GenerateOptions options = upTo(12, range(0, 30));
  int64_t tokens = 0;
  std::vector<size_t> lengths;
  for (const auto& prompt : prompts) {
    lengths.push_back(expected(prompt, options).size());
    tokens += static_cast<int64_t>(lengths.back());
  }
  EXPECT_GT(*std::max_element(lengths.begin(), lengths.end()), *std::min_element(lengths.begin(), lengths.end()) + 2);
  const Simulation run(prompts, options, {2, 20, 8});
  for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(run.results[i].tokens, expected(prompts[i], options));
  const auto longest = static_cast<int64_t>(*std::max_element(lengths.begin(), lengths.end()));
  EXPECT_LE(run.passes, (tokens + longest + 1) / 2);
  EXPECT_EQ(run.mostSequences, 2);
}

TEST(Scheduler, LongPromptsComeInPartsBesideWhatIsContinued) {
  const Prompts prompts{range(0, 3), range(500, 150)};
  Scheduler scheduler(prompts, upTo(40), {2, 200, 32});
  PassPlan plan;
  std::vector<size_t> rows, drawn;
  for (int pass = 0; pass < 7; ++pass) {
    ASSERT_TRUE(scheduler.next(plan));
    rows.push_back(plan.tokens.size());
    drawn.push_back(plan.last.size());
    const std::vector<float> zeros(plan.last.size());
    scheduler.receive(plan, std::vector<int32_t>(plan.last.size(), 7), zeros, zeros);
  }
  // 29 of the long prompt in the first pass, 31 in each of the next three, the last 28 in the fifth.
  EXPECT_EQ(rows, (std::vector<size_t>{32, 32, 32, 32, 29, 2, 2}));
  EXPECT_EQ(drawn, (std::vector<size_t>{1, 1, 1, 1, 2, 2, 2}));
}

TEST(Scheduler, ASequenceEndsWhenItsSlotIsFull) {
  const Prompts prompts{range(0, 6), range(0, 10)};
  const Simulation run(prompts, upTo(100), {2, 10, 16});
  EXPECT_EQ(run.results[0].tokens.size(), 5u);  // the last of which need not be stored
  EXPECT_EQ(run.results[1].tokens.size(), 1u);
  EXPECT_FALSE(run.results[0].stopped);
}

TEST(Scheduler, StreamsAreTheSequencesOwn) {
  const Prompts prompts{range(0, 3), range(10, 3)};
  GenerateOptions options = upTo(2);
  options.seeds = {41, 42};
  Scheduler scheduler(prompts, options, {2, 10, 16});
  PassPlan plan;
  for (const uint64_t drawn : {0u, 1u}) {
    ASSERT_TRUE(scheduler.next(plan));
    ASSERT_EQ(plan.streams.size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(plan.streams[i].seed, options.seeds[i]);
      EXPECT_EQ(plan.streams[i].stream, drawn);
    }
    scheduler.receive(plan, {1, 2}, {0, 0}, {0, 0});
  }
}

/// Random prompts with and without common beginnings, in caches of all sizes: the answers are always those of the prompt alone.
TEST(Scheduler, AnswersNeverDependOnTheCompany) {
  std::mt19937 random(5);
  const auto below = [&](int32_t most) { return static_cast<int32_t>(random() % static_cast<uint32_t>(most)); };
  for (int round = 0; round < 200; ++round) {
    Prompts prompts;
    const int32_t count = 1 + below(30);
    for (int32_t i = 0; i < count; ++i) {
      std::vector<int32_t> prompt;
      if (!prompts.empty() && below(3) > 0) {
        prompt = prompts[static_cast<size_t>(below(i))];
        prompt.resize(static_cast<size_t>(1 + below(static_cast<int32_t>(prompt.size()))));
      }
      const int32_t more = below(60) + (prompt.empty() ? 1 : 0);
      if (prompt.size() + static_cast<size_t>(more) <= 100) {
        for (int32_t k = 0; k < more; ++k) prompt.push_back(below(3));
      }
      prompts.push_back(prompt);
    }
    const GenerateOptions options = upTo(1 + below(12), range(0, below(20)));
    const int32_t slots = 1 + below(6);
    const Simulation run(prompts, options, {slots, 120, slots + below(70)});
    for (size_t i = 0; i < prompts.size(); ++i) ASSERT_EQ(run.results[i].tokens, expected(prompts[i], options)) << round << " " << i;
  }
}

}  // namespace
}  // namespace sftlab
