// The head, computed only where something is predicted: rows without a loss never reach the vocabulary projection. Logits exist for one
// chunk of rows at a time; the loss turns them into their own gradient in place.

#include <algorithm>

#include "io/cancel.h"
#include "model/layers.h"

namespace sftlab {

HeadResult headLoss(const Pass& pass, const Parameters& parameters, const Tensor& hidden, const HeadRows& rows,
                    const Tensor& dhidden) {
  Backend& backend = pass.backend;
  Arena& arena = pass.arena;
  const ArenaScope scope(arena);
  const auto count = static_cast<int64_t>(rows.rows.size());
  HeadResult result{std::vector<float>(rows.rows.size()), std::vector<float>(rows.rows.size()),
                    std::vector<uint8_t>(rows.rows.size())};
  if (dhidden) backend.zero(dhidden);
  if (count == 0) return result;

  const Tensor& table = parameters.head->operand(pass.dtype);
  const int32_t* const ids = arena.put(rows.rows);
  const int32_t* const targets = arena.put(rows.targets);
  const float* const weights = arena.put(rows.weights);
  const Tensor chosen = arena.take(count, hidden.cols), normed = arena.take(count, hidden.cols, pass.dtype);
  const Tensor rstd = arena.take(count, 1);
  backend.gatherRows(chosen, hidden, ids);
  backend.rmsNorm(normed, rstd, chosen, parameters.finalNorm->value, pass.config.normEpsilon);
  const Tensor loss = arena.take(count, 1), entropy = arena.take(count, 1);
  auto* const correct = static_cast<uint8_t*>(arena.takeBytes(static_cast<size_t>(count)));
  const int64_t trained = dhidden ? rows.trained : 0;
  const Tensor dnormed = trained > 0 ? arena.take(trained, hidden.cols) : Tensor{};
  const int64_t chunk = std::min(backend.headRows(table.rows), count);
  const Tensor logits = arena.take(chunk, table.rows);

  for (int64_t first = 0; first < count;) {
    throwIfCancelled();
    const bool trains = first < trained;
    const int64_t size = std::min(chunk, (trains ? trained : count) - first);
    const Tensor x = normed.slice(first, size), out = logits.slice(0, size);
    // In the memory of the logits, row on row: bf16 numbers are half as far apart.
    const Tensor rows = pass.dtype == DType::f32 ? out : Tensor{out.data, size, out.cols, 2 * out.stride, DType::bf16};
    const Tensor dlogits = trains ? rows : Tensor{};
    backend.matmul(out, x, Transpose::no, table, Transpose::yes, 1, 0);
    backend.crossEntropy(out, targets + first, weights + first, loss.f32() + first, entropy.f32() + first, correct + first,
                         dlogits);
    if (trains) {
      backend.matmul(dnormed.slice(first, size), dlogits, Transpose::no, table, Transpose::no, 1, 0);
      if (Parameter& head = *parameters.head; head.trained) {
        backend.matmul(head.gradient, dlogits, Transpose::yes, x, Transpose::no, 1, head.beginSum(backend));
      }
    }
    first += size;
  }
  if (trained > 0) {
    const Tensor dchosen = arena.take(trained, hidden.cols);
    backend.zero(dchosen);
    backend.rmsNormBackward(dchosen, parameters.finalNorm->gradient, dnormed, chosen.slice(0, trained), rstd.slice(0, trained),
                            parameters.finalNorm->value);
    backend.gatherRowsBackward(dhidden, dchosen, ids);
  }
  backend.download(result.loss.data(), loss.data, loss.bytes());
  backend.download(result.entropy.data(), entropy.data, entropy.bytes());
  backend.download(result.correct.data(), correct, static_cast<size_t>(count));
  return result;
}

Tensor headLogits(const Pass& pass, const Parameters& parameters, const Tensor& hidden, const int32_t* rows, int64_t count) {
  Arena& arena = pass.arena;
  const Tensor chosen = arena.take(count, hidden.cols), rstd = arena.take(count, 1);
  const Tensor normed = arena.take(count, hidden.cols, pass.dtype);
  const Tensor logits = arena.take(count, parameters.head->value.rows);
  pass.backend.gatherRows(chosen, hidden, rows);
  pass.backend.rmsNorm(normed, rstd, chosen, parameters.finalNorm->value, pass.config.normEpsilon);
  pass.backend.matmul(logits, normed, Transpose::no, parameters.head->operand(pass.dtype), Transpose::yes, 1, 0);
  return logits;
}

}  // namespace sftlab
