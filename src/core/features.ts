/** What a device's list of features means. */

/** Whether it computes in bfloat16. */
export function computesInBf16(features: readonly string[] | undefined): boolean {
  return features?.some((feature) => /bf16/.test(feature)) ?? false;
}
