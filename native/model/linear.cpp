// A linear layer with optional low-rank adapters, never merged: y = x W^T + b + low B^T, where low = scale * dropout(x) A^T.
// Frozen weights cost no product for their gradient. dropout(x) is made again in the backward pass from its random stream.
//
// Small products beside a large one cost a GPU much, since what the large one makes is written, read and written again. Where weights and
// adapters stand as one matrix (`LinearWeights::extended`) there are none: y = [x, low] [W, B]^T, and, unless A's part of it passes through
// dropout, dx = [dy, dlow] [W; A].

#include <stdexcept>

#include "model/layers.h"

namespace sftlab {

namespace {

RandomStream streamOf(const Pass& pass, const LowRank& adapter) {
  return {pass.dropout.seed, pass.dropout.stream + adapter.stream};
}

bool drops(const Pass& pass, const LowRank& adapter) { return pass.training && adapter.dropout > 0; }

/// The adapter's input: x itself unless dropout is on.
Tensor dropped(const Pass& pass, const LowRank& adapter, const Tensor& x) {
  if (!drops(pass, adapter)) return x;
  const Tensor out = pass.arena.take(x.rows, x.cols, x.dtype);
  pass.backend.dropout(out, x, adapter.dropout, streamOf(pass, adapter));
  return out;
}

/// Its columns of what is kept of all the layer's adapters, or of the gradient of that.
Tensor columnsOf(const LowRank& adapter, const Tensor& low) { return low.columns(adapter.first, adapter.a->value.rows); }

/// body(B, the first of its columns of `SavedLinear::low`, its columns of `out`) for each.
template <typename Body>
void eachUp(const LowRank& adapter, const Tensor& out, const Body& body) {
  int64_t first = adapter.first;
  for (const LowRank::Up& up : adapter.ups) {
    const Parameter& b = *up.b;
    body(b, first, out.columns(up.column, b.value.rows));
    first += b.value.cols;
  }
}

/// x, or the gradient of an output, with what stands beside it in memory that was taken for both (`takeBeside`).
Tensor withLow(const LinearWeights& weights, const Tensor& x) {
  const Tensor both{x.data, x.rows, x.cols + weights.ranks(), x.stride, x.dtype};
  if (both.cols > both.stride) throw std::logic_error("there is no room beside what an extended layer reads");
  return both;
}
Tensor lowBeside(const LinearWeights& weights, const Tensor& x) { return withLow(weights, x).columns(x.cols, weights.ranks()); }

}  // namespace

Tensor takeBeside(const Pass& pass, const LinearWeights& weights, int64_t rows, int64_t cols) {
  if (!weights.extended) return pass.arena.take(rows, cols, pass.dtype);
  constexpr int64_t kLine = 64;  // numbers, to begin rows where a GPU's memory is read from soonest
  return pass.arena.take(rows, (cols + weights.ranks() + kLine - 1) / kLine * kLine, pass.dtype).columns(0, cols);
}

SavedLinear reserve(const Pass& pass, const LinearWeights& weights, int64_t rows) {
  return weights.adapters.empty() ? SavedLinear{} : SavedLinear{pass.arena.take(rows, weights.ranks(), pass.dtype)};
}

void lower(const Pass& pass, const LinearWeights& weights, const Tensor& x, const SavedLinear& saved) {
  for (const LowRank& adapter : weights.adapters) {
    const ArenaScope scope(pass.arena);
    pass.backend.matmul(columnsOf(adapter, saved.low), dropped(pass, adapter, x), Transpose::no, adapter.a->operand(pass.dtype),
                        Transpose::yes, adapter.scale, 0);
  }
}

void linear(const Pass& pass, const LinearWeights& weights, const Tensor& out, const Tensor& x, const SavedLinear& saved,
            const Tensor& addend) {
  Backend& backend = pass.backend;
  const Tensor bias = weights.bias ? weights.bias->value : Tensor{};
  if (weights.extended) {
    const Tensor low = lowBeside(weights, x);
    lower(pass, weights, x, {low});
    if (pass.training) backend.copy(saved.low, low);
    return backend.matmulAdd(out, addend, bias, withLow(weights, x), Transpose::no, weights.extended.slice(0, out.cols), Transpose::yes);
  }
  lower(pass, weights, x, saved);
  backend.matmulAdd(out, addend, bias, x, Transpose::no, weights.weight->operand(pass.dtype), Transpose::yes);
  for (const LowRank& adapter : weights.adapters) {
    eachUp(adapter, out, [&](const Parameter& b, int64_t first, const Tensor& part) {
      backend.matmul(part, saved.low.columns(first, b.value.cols), Transpose::no, b.operand(pass.dtype), Transpose::yes, 1, 1);
    });
  }
}

OutputGradient outputGradient(const Pass& pass, const LinearWeights& weights, const Tensor& dout, const SavedLinear& saved) {
  const OutputGradient gradient{dout, weights.extended ? lowBeside(weights, dout) : reserve(pass, weights, dout.rows).low};
  for (const LowRank& adapter : weights.adapters) {
    eachUp(adapter, dout, [&](const Parameter& b, int64_t first, const Tensor& part) {
      const int64_t rank = b.value.cols;
      pass.backend.lowRankBackward(gradient.dlow.columns(first, rank), b.gradient, part, b.operand(pass.dtype), saved.low.columns(first, rank),
                                   adapter.scale);
    });
  }
  return gradient;
}

void inputGradient(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite,
                   const OutputGradient& gradient) {
  Backend& backend = pass.backend;
  if (weights.extended && !drops(pass, weights.adapters.front())) {
    const Tensor both = withLow(weights, gradient.dout);
    return backend.matmul(dx, both, Transpose::no, weights.extended.columns(0, dx.cols), Transpose::no, 1, overwrite ? 0 : 1);
  }
  for (const LowRank& adapter : weights.adapters) {
    const ArenaScope scope(pass.arena);
    // Where the adapter's part passes through dropout it needs a place of its own: dx itself, as long as that is to be overwritten.
    const bool apart = drops(pass, adapter) && !overwrite;
    const Tensor part = apart ? pass.arena.take(dx.rows, dx.cols, dx.dtype) : dx;
    backend.matmul(part, columnsOf(adapter, gradient.dlow), Transpose::no, adapter.a->operand(pass.dtype), Transpose::no, 1,
                   overwrite || apart ? 0 : 1);
    if (drops(pass, adapter)) backend.dropout(part, part, adapter.dropout, streamOf(pass, adapter));
    if (apart) backend.add(dx, part);
    overwrite = false;
  }
  backend.matmul(dx, gradient.dout, Transpose::no, weights.weight->operand(pass.dtype), Transpose::no, 1, overwrite ? 0 : 1);
}

bool readsInput(const LinearWeights& weights) {
  return weights.weight->trained || (!weights.adapters.empty() && weights.adapters[0].a->trained);
}

void weightGradient(const Pass& pass, const LinearWeights& weights, const OutputGradient& gradient, const Tensor& x) {
  Backend& backend = pass.backend;
  if (weights.weight->trained) {
    backend.matmul(weights.weight->gradient, gradient.dout, Transpose::yes, x, Transpose::no, 1, weights.weight->beginSum(backend));
    if (weights.bias) backend.addBiasBackward(weights.bias->gradient, gradient.dout);
  }
  for (const LowRank& adapter : weights.adapters) {
    if (!adapter.a->trained) continue;
    const ArenaScope scope(pass.arena);
    backend.matmul(adapter.a->gradient, columnsOf(adapter, gradient.dlow), Transpose::yes, dropped(pass, adapter, x), Transpose::no, 1, 1);
  }
}

void linearBackward(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite, const Tensor& dout,
                    const Tensor& x, const SavedLinear& saved) {
  const ArenaScope scope(pass.arena);
  const OutputGradient gradient = outputGradient(pass, weights, dout, saved);
  weightGradient(pass, weights, gradient, x);
  if (dx) inputGradient(pass, weights, dx, overwrite, gradient);
}

OfGroup<Tensor> takeOutputs(const Pass& pass, const LinearGroup& group, int64_t rows) {
  OfGroup<Tensor> outputs;
  for (size_t i = 0; i < group.size(); ++i) outputs[i] = takeBeside(pass, group[i], rows, group[i].weight->value.rows);
  return outputs;
}

OfGroup<Tensor> split(const OfGroup<Tensor>& outputs, std::initializer_list<int64_t> columns) {
  OfGroup<Tensor> parts;
  const Tensor* output = outputs.data();
  int64_t first = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (first == output->cols) {
      ++output;
      first = 0;
    }
    parts[i] = output->columns(first, columns.begin()[i]);
    first += parts[i].cols;
  }
  return parts;
}

OfGroup<SavedLinear> reserve(const Pass& pass, const LinearGroup& group, int64_t rows) {
  OfGroup<SavedLinear> saved;
  for (size_t i = 0; i < group.size(); ++i) saved[i] = reserve(pass, group[i], rows);
  return saved;
}

void linear(const Pass& pass, const LinearGroup& group, const OfGroup<Tensor>& outputs, const Tensor& x, const OfGroup<SavedLinear>& saved) {
  for (size_t i = 0; i < group.size(); ++i) linear(pass, group[i], outputs[i], x, saved[i]);
}

void linearBackward(const Pass& pass, const LinearGroup& group, const Tensor& dx, const OfGroup<Tensor>& doutputs, const Tensor& x,
                    const OfGroup<SavedLinear>& saved) {
  for (size_t i = 0; i < group.size(); ++i) linearBackward(pass, group[i], dx, i == 0, doutputs[i], x, saved[i]);
}

StreamGradient readable(const Pass& pass, const LayerWeights& weights, const Tensor& exact) {
  if (exact.dtype == pass.dtype) return {exact, exact};
  // Adapters are of one rank wherever they are.
  const LinearWeights& reader = weights.down.extended ? weights.down : weights.output;
  return {exact, takeBeside(pass, reader, exact.rows, exact.cols)};
}

}  // namespace sftlab
