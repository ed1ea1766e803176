/** Samples of `perf` by operation of the engine. */

/** The first whose pattern fits the library and function of a line counts. */
const operations: readonly (readonly [string, RegExp])[] = [
  ['kernel: pages, scheduling', /\[kernel|\[k\]/],
  ['AdamW, gradient norm', /::(adamw|squaredNorm)\(/],
  ['loss, entropy, accuracy', /::crossEntropy\(/],
  ['norms', /::rmsNorm/],
  ['RoPE', /::rope\(/],
  ['SwiGLU, residuals, biases', /::(swiglu|swigluBackward|add|addBias|addBiasBackward)\(/],
  ['attention, beside the products below', /::attention|exponentials|gemmTile|sftlab::transpose/],
  [
    'copies, gathered rows, conversions',
    /mem(cpy|set|move)|::(copy|zero|fill|upload|download|gatherRows|gatherRowsBackward)\(/,
  ],
  ['packing of the products’ operands', /pack(Left|Right|Rows)|bf16::.*transpose/],
  // oneDNN makes its kernels at run time: they have no names.
  ['matrix products (in bf16 those of attention too)', /::(tile|column|product)|::matmul|dnnl|\[JIT\]|\[unknown\]/],
  ['waiting for other threads', /ThreadPool::(work|runShared|takePiece)|gomp|relax|waitWhile/],
];

/** Percent of the samples by operation, of `perf report --stdio -F overhead,dso,symbol`. */
export function operationShares(report: string): Map<string, number> {
  const shares = new Map<string, number>();
  for (const line of report.split('\n')) {
    const found = /^\s*([\d.]+)%\s+(.*)$/.exec(line);
    if (found === null) continue;
    const what = found[2] ?? '';
    const operation = operations.find(([, pattern]) => pattern.test(what))?.[0] ?? 'the rest';
    shares.set(operation, (shares.get(operation) ?? 0) + Number(found[1]));
  }
  return shares;
}
