/**
 * The loss function of the standard normal: how much of a demand is missed on average.
 *
 *     L(z) = E[(Z - z)+] = phi(z) - z * (1 - Phi(z)),   Z standard normal
 *
 * Looked up in steps of 1/100 with linear interpolation, which is within 1e-5; beyond 6
 * standard deviations it is 0, or -z on the other side.
 * Source: any text on the newsvendor problem; Phi by Abramowitz and Stegun 7.1.26.
 */
const Z_MAX = 6;
const STEPS_PER_UNIT = 100;
const STEP_COUNT = 2 * Z_MAX * STEPS_PER_UNIT;

const TABLE = Float64Array.from({ length: STEP_COUNT + 2 }, (_, step) => {
  const z = step / STEPS_PER_UNIT - Z_MAX;
  return Math.exp(-z * z * 0.5) / Math.sqrt(2 * Math.PI) - z * (1 - normalCdf(z));
});

/** `L(z)`, within 1e-5. */
export function normalLoss(z: number): number {
  if (z >= Z_MAX) return 0;
  if (z <= -Z_MAX) return -z;
  const at = (z + Z_MAX) * STEPS_PER_UNIT;
  const step = at | 0;
  const part = at - step;
  return (TABLE[step] ?? 0) * (1 - part) + (TABLE[step + 1] ?? 0) * part;
}

function normalCdf(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const polynomial = factors.reduce((sum, factor) => sum * t + factor, 0) * t;
  const tail = polynomial * Math.exp(-x * x) * 0.5;
  return z >= 0 ? 1 - tail : tail;
}
