// Linear layers with optional low-rank adapters, never merged: y = x W^T + b + low B^T, where low = scale * dropout(x) A^T.
// Frozen weights cost no product for their gradient. Layers that share their input share what dropout leaves of it, which is made again in the
// backward pass from its random stream.
//
// Small products beside a large one cost a GPU much, since what the large one makes is written, read and written again. Where weights and
// adapters stand as one matrix (`LinearWeights::extended`) there are none: y = [x, low] [W, B]^T, and, unless A's part of it passes through
// dropout, dx = [dy, dlow] [W; A].

#include <stdexcept>

#include "model/layers.h"

namespace sftlab {

namespace {

/// Of layers that share their input, the first one's.
const LowRank* adapterOf(Layers layers) {
  for (const LinearWeights& layer : layers) {
    if (layer.adapter) return &*layer.adapter;
  }
  return nullptr;
}

bool drops(const Pass& pass, Layers layers) {
  const LowRank* const adapter = adapterOf(layers);
  return pass.training && adapter && adapter->dropout > 0;
}

/// x as far as dropout leaves it, for adapters. `out` may be x itself.
void drop(const Pass& pass, Layers layers, const Tensor& out, const Tensor& x) {
  const LowRank& adapter = *adapterOf(layers);
  pass.backend.dropout(out, x, adapter.dropout, {pass.dropout.seed, pass.dropout.stream + adapter.stream});
}

/// The adapters' input: x itself, unless dropout is on.
Tensor dropped(const Pass& pass, Layers layers, const Tensor& x) {
  if (!drops(pass, layers)) return x;
  const Tensor out = pass.arena.take(x.rows, x.cols, x.dtype);
  drop(pass, layers, out, x);
  return out;
}

int64_t ranksOf(Layers layers) {
  int64_t sum = 0;
  for (const LinearWeights& layer : layers) sum += layer.ranks();
  return sum;
}

/// body(the layer's number, its adapter, the first of its columns of what all adapters make) for each.
template <typename Body>
void eachAdapter(Layers layers, const Body& body) {
  int64_t first = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].adapter) body(i, *layers[i].adapter, first);
    first += layers[i].ranks();
  }
}

/// body(B, what the adapters make for it or the gradient of that, by columns, its part of the layer's output, scale) for each.
template <typename Body>
void eachUp(Layers layers, const OfGroup<Tensor>& outputs, const Body& body) {
  eachAdapter(layers, [&](size_t i, const LowRank& adapter, int64_t first) {
    for (const LowRank::Up& up : adapter.ups) {
      const Tensor& b = up.b->value;
      const auto own = [first, rank = b.cols](const Tensor& low) { return low.columns(first, rank); };
      body(*up.b, own, outputs[i].columns(up.column, b.rows), adapter.scale);
      first += b.cols;
    }
  });
}

/// x, or the gradient of an output, with what stands beside it in memory that was taken for both (`takeBeside`).
Tensor withLow(const LinearWeights& layer, const Tensor& x) {
  const Tensor both{x.data, x.rows, x.cols + layer.ranks(), x.stride, x.dtype};
  if (both.cols > both.stride) throw std::logic_error("there is no room beside what an extended layer reads");
  return both;
}
Tensor lowBeside(const LinearWeights& layer, const Tensor& x) { return withLow(layer, x).columns(x.cols, layer.ranks()); }

/// Whether one product makes all.
bool extended(Layers layers) { return layers.size() == 1 && layers[0].extended; }

}  // namespace

Tensor takeBeside(const Pass& pass, const LinearWeights& layer, int64_t rows, int64_t cols) {
  if (!layer.extended) return pass.arena.take(rows, cols, pass.dtype);
  return pass.arena.take(rows, wholeLines(cols + layer.ranks()), pass.dtype).columns(0, cols);
}

OfGroup<Tensor> takeOutputs(const Pass& pass, Layers layers, int64_t rows) {
  OfGroup<Tensor> outputs;
  for (size_t i = 0; i < layers.size(); ++i) outputs[i] = takeBeside(pass, layers[i], rows, layers[i].weight->value.rows);
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

SavedLinear reserve(const Pass& pass, Layers layers, int64_t rows) {
  const int64_t ranks = ranksOf(layers);
  return ranks == 0 ? SavedLinear{} : SavedLinear{pass.arena.take(rows, ranks, pass.dtype)};
}

void lower(const Pass& pass, Layers layers, const Tensor& x, const SavedLinear& saved) {
  const ArenaScope scope(pass.arena);
  const Tensor input = dropped(pass, layers, x);
  eachAdapter(layers, [&](size_t, const LowRank& adapter, int64_t first) {
    const Parameter& a = *adapter.a;
    pass.backend.matmul(saved.low.columns(first, a.value.rows), input, Transpose::no, a.operand(pass.dtype), Transpose::yes, adapter.scale, 0);
  });
}

void linear(const Pass& pass, Layers layers, const OfGroup<Tensor>& outputs, const Tensor& x, const SavedLinear& saved, const Tensor& addend) {
  Backend& backend = pass.backend;
  const auto biasOf = [](const LinearWeights& layer) { return layer.bias ? layer.bias->value : Tensor{}; };
  if (extended(layers)) {
    const LinearWeights& layer = layers[0];
    const Tensor low = lowBeside(layer, x);
    lower(pass, layers, x, {low});
    if (pass.training) backend.copy(saved.low, low);
    const Tensor weight = layer.extended.slice(0, outputs[0].cols);
    return backend.matmulAdd(outputs[0], addend, biasOf(layer), withLow(layer, x), Transpose::no, weight, Transpose::yes);
  }
  lower(pass, layers, x, saved);
  for (size_t i = 0; i < layers.size(); ++i) {
    backend.matmulAdd(outputs[i], addend, biasOf(layers[i]), x, Transpose::no, layers[i].weight->operand(pass.dtype), Transpose::yes);
  }
  eachUp(layers, outputs, [&](const Parameter& b, const auto& own, const Tensor& part, float) {
    backend.matmul(part, own(saved.low), Transpose::no, b.operand(pass.dtype), Transpose::yes, 1, 1);
  });
}

OutputGradient outputGradient(const Pass& pass, Layers layers, const OfGroup<Tensor>& doutputs, const SavedLinear& saved) {
  const Tensor dlow = extended(layers) ? lowBeside(layers[0], doutputs[0]) : reserve(pass, layers, doutputs[0].rows).low;
  eachUp(layers, doutputs, [&](const Parameter& b, const auto& own, const Tensor& part, float scale) {
    pass.backend.lowRankBackward(own(dlow), b.gradient, part, b.operand(pass.dtype), own(saved.low), scale);
  });
  return {doutputs, dlow};
}

void inputGradient(const Pass& pass, Layers layers, const Tensor& dx, const OutputGradient& gradient) {
  Backend& backend = pass.backend;
  if (extended(layers) && !drops(pass, layers)) {
    const Tensor both = withLow(layers[0], gradient.doutputs[0]);
    return backend.matmul(dx, both, Transpose::no, layers[0].extended.columns(0, dx.cols), Transpose::no, 1, 0);
  }
  float beta = 0;
  eachAdapter(layers, [&](size_t, const LowRank& adapter, int64_t first) {
    const Parameter& a = *adapter.a;
    backend.matmul(dx, gradient.dlow.columns(first, a.value.rows), Transpose::no, a.operand(pass.dtype), Transpose::no, 1, beta);
    beta = 1;
  });
  if (drops(pass, layers)) drop(pass, layers, dx, dx);
  for (size_t i = 0; i < layers.size(); ++i) {
    backend.matmul(dx, gradient.doutputs[i], Transpose::no, layers[i].weight->operand(pass.dtype), Transpose::no, 1, beta);
    beta = 1;
  }
}

bool readsInput(Layers layers) {
  const LowRank* const adapter = adapterOf(layers);
  return layers[0].weight->trained || (adapter && adapter->a->trained);
}

void weightGradient(const Pass& pass, Layers layers, const OutputGradient& gradient, const Tensor& x) {
  Backend& backend = pass.backend;
  for (size_t i = 0; i < layers.size(); ++i) {
    Parameter& weight = *layers[i].weight;
    if (!weight.trained) continue;
    backend.matmul(weight.gradient, gradient.doutputs[i], Transpose::yes, x, Transpose::no, 1, weight.beginSum(backend));
    if (layers[i].bias) backend.addBiasBackward(layers[i].bias->gradient, gradient.doutputs[i]);
  }
  if (const LowRank* const adapter = adapterOf(layers); !adapter || !adapter->a->trained) return;
  const ArenaScope scope(pass.arena);
  const Tensor input = dropped(pass, layers, x);
  eachAdapter(layers, [&](size_t, const LowRank& adapter, int64_t first) {
    const Parameter& a = *adapter.a;
    backend.matmul(a.gradient, gradient.dlow.columns(first, a.value.rows), Transpose::yes, input, Transpose::no, 1, 1);
  });
}

void linearBackward(const Pass& pass, Layers layers, const Tensor& dx, const OfGroup<Tensor>& doutputs, const Tensor& x,
                    const SavedLinear& saved) {
  const ArenaScope scope(pass.arena);
  const OutputGradient gradient = outputGradient(pass, layers, doutputs, saved);
  weightGradient(pass, layers, gradient, x);
  if (dx) inputGradient(pass, layers, dx, gradient);
}

StreamGradient readable(const Pass& pass, const LayerWeights& weights, const Tensor& exact) {
  if (exact.dtype == pass.dtype) return {exact, exact};
  // Adapters are of one rank wherever they are.
  const LinearWeights& reader = weights.down.extended ? weights.down : weights.output;
  return {exact, takeBeside(pass, reader, exact.rows, exact.cols)};
}

}  // namespace sftlab
