/** Means with their errors, and spreads. */

/** A mean over independent replicas. */
export interface Estimate {
  readonly mean: number;
  /** Standard error of the mean; NaN for a single value. */
  readonly error: number;
}

export function estimate(values: readonly number[]): Estimate {
  return { mean: meanOf(values), error: deviation(values) / Math.sqrt(values.length) };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation of the population that the values are a sample of; NaN for fewer than two. */
export function deviation(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/** Standard deviation over mean. NaN where there are fewer than two values or nothing but zeros. */
export function variation(values: readonly number[]): number {
  return deviation(values) / meanOf(values);
}

/** The value that a part `p` (0 to 1) of the values lies below. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}
