// A linear layer with optional low-rank adapters, never merged: y = x W^T + b + scale * ((dropout(x) A^T) B^T).
// Frozen weights cost no product for their gradient. dropout(x) is made again in the backward pass from its random stream.

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

/// body(B, its columns of `low`, its columns of `out`) for each.
template <typename Body>
void eachUp(const LowRank& adapter, const Tensor& low, const Tensor& out, const Body& body) {
  int64_t first = adapter.first;
  for (const LowRank::Up& up : adapter.ups) {
    const Parameter& b = *up.b;
    body(b, low.columns(first, b.value.cols), out.columns(up.column, b.value.rows));
    first += b.value.cols;
  }
}

/// The columns that adapters add to: all, unless some layers of a group have none. (Those of a group that drop other numbers add to their own.)
int64_t raised(const LinearWeights& weights) {
  int64_t columns = 0;
  for (const LowRank& adapter : weights.adapters) {
    for (const LowRank::Up& up : adapter.ups) columns += up.b->value.rows;
  }
  return columns;
}

}  // namespace

SavedLinear reserve(const Pass& pass, const LinearWeights& weights, int64_t rows) {
  int64_t ranks = 0;
  for (const LowRank& adapter : weights.adapters) ranks += adapter.a->value.rows;
  return ranks > 0 ? SavedLinear{pass.arena.take(rows, ranks, pass.dtype)} : SavedLinear{};
}

void lower(const Pass& pass, const LinearWeights& weights, const Tensor& x, const SavedLinear& saved) {
  for (const LowRank& adapter : weights.adapters) {
    const ArenaScope scope(pass.arena);
    pass.backend.matmul(columnsOf(adapter, saved.low), dropped(pass, adapter, x), Transpose::no, adapter.a->operand(pass.dtype),
                        Transpose::yes, 1, 0);
  }
}

void linear(const Pass& pass, const LinearWeights& weights, const Tensor& out, const Tensor& x, const SavedLinear& saved,
            const Tensor& addend) {
  Backend& backend = pass.backend;
  lower(pass, weights, x, saved);
  const auto raise = [&](float beta) {
    for (const LowRank& adapter : weights.adapters) {
      eachUp(adapter, saved.low, out, [&](const Parameter& b, const Tensor& low, const Tensor& part) {
        backend.matmul(part, low, Transpose::no, b.operand(pass.dtype), Transpose::yes, adapter.scale, beta);
      });
    }
  };
  // A GPU's small products take as long as their results are written and read: the large one has time to read what they have written.
  const bool adaptersFirst = backend.stacks() && !addend && raised(weights) == out.cols;
  if (adaptersFirst) raise(0);
  backend.matmulAdd(out, adaptersFirst ? out : addend, weights.bias ? weights.bias->value : Tensor{}, x, Transpose::no,
                    weights.weight->operand(pass.dtype), Transpose::yes);
  if (!adaptersFirst) raise(1);
}

OutputGradient outputGradient(const Pass& pass, const LinearWeights& weights, const Tensor& dout) {
  const OutputGradient gradient{dout, reserve(pass, weights, dout.rows).low};
  for (const LowRank& adapter : weights.adapters) {
    eachUp(adapter, gradient.dlow, dout, [&](const Parameter& b, const Tensor& dlow, const Tensor& part) {
      pass.backend.matmul(dlow, part, Transpose::no, b.operand(pass.dtype), Transpose::no, adapter.scale, 0);
    });
  }
  return gradient;
}

void inputGradient(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite,
                   const OutputGradient& gradient) {
  Backend& backend = pass.backend;
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

void weightGradient(const Pass& pass, const LinearWeights& weights, const OutputGradient& gradient, const Tensor& x,
                    const SavedLinear& saved) {
  Backend& backend = pass.backend;
  if (weights.weight->trained) {
    backend.matmul(weights.weight->gradient, gradient.dout, Transpose::yes, x, Transpose::no, 1, 1);
    if (weights.bias) backend.addBiasBackward(weights.bias->gradient, gradient.dout);
  }
  for (const LowRank& adapter : weights.adapters) {
    if (!adapter.a->trained) continue;
    const ArenaScope scope(pass.arena);
    eachUp(adapter, saved.low, gradient.dout, [&](const Parameter& b, const Tensor& low, const Tensor& part) {
      backend.matmul(b.gradient, part, Transpose::yes, low, Transpose::no, adapter.scale, 1);
    });
    backend.matmul(adapter.a->gradient, columnsOf(adapter, gradient.dlow), Transpose::yes, dropped(pass, adapter, x), Transpose::no, 1, 1);
  }
}

void linearBackward(const Pass& pass, const LinearWeights& weights, const Tensor& dx, bool overwrite, const Tensor& dout,
                    const Tensor& x, const SavedLinear& saved) {
  const ArenaScope scope(pass.arena);
  const OutputGradient gradient = outputGradient(pass, weights, dout);
  weightGradient(pass, weights, gradient, x, saved);
  if (dx) inputGradient(pass, weights, dx, overwrite, gradient);
}

OfGroup<Tensor> takeOutputs(const Pass& pass, const LinearGroup& group, int64_t rows) {
  OfGroup<Tensor> outputs;
  for (size_t i = 0; i < group.size(); ++i) outputs[i] = pass.arena.take(rows, group[i].weight->value.rows, pass.dtype);
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

Tensor inDtype(const Pass& pass, const Tensor& x) {
  if (x.dtype == pass.dtype) return x;
  const Tensor out = pass.arena.take(x.rows, x.cols, pass.dtype);
  pass.backend.copy(out, x);
  return out;
}

}  // namespace sftlab
