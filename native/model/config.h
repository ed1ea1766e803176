#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sftlab {

/// How the frequencies of the rotary positions are changed for longer contexts; names as in Hugging Face.
struct RopeScaling {
  enum class Kind : uint8_t { none, linear, llama3, yarn } kind = Kind::none;
  double factor = 1;
  double originalMaxPositions = 0;
  double lowFrequencyFactor = 1, highFrequencyFactor = 4;  ///< llama3
  double betaFast = 32, betaSlow = 1;                      ///< yarn
  double attentionFactor = 1;                              ///< yarn: multiplies cos and sin
  bool truncate = true;                                    ///< yarn
};

/// What a decoder of the Llama family is made of, from the checkpoint's own config.json.
struct ModelConfig {
  std::string architecture;
  int32_t layers = 0, hiddenSize = 0, intermediateSize = 0, vocabularySize = 0, maxPositions = 0;
  int32_t heads = 0, kvHeads = 0, headSize = 0;
  float normEpsilon = 1e-6f;
  float initializerRange = 0.02f;
  bool tiedEmbeddings = false;
  bool qkvBias = false, outputBias = false, mlpBias = false;
  bool qkNorm = false;
  double ropeTheta = 10000;
  RopeScaling ropeScaling;
  std::vector<int32_t> windows;  ///< of each layer; 0: no window
};

/// Reads `<directory>/config.json`. Throws Error naming the key: unknown architectures and features are refused, never guessed.
/// With `train` so are features that only training would need.
ModelConfig readModelConfig(const std::filesystem::path& directory, bool train = false);

/// cos and sin of positions [0, positions): (positions, headSize), cos in the first half of a row, sin in the second.
std::vector<float> ropeTable(const ModelConfig& config, int32_t positions);

}  // namespace sftlab
