/** Whole micro-dollars as dollars, with all six digits after the point. */
export function exactUsd(microUsd: number): string {
  const digits = String(microUsd).padStart(7, "0");
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

/** The same for people: to the cent, and small sums exactly. */
export function usdText(microUsd: number): string {
  return microUsd === 0 || microUsd >= 1_000_000
    ? `$${(microUsd / 1_000_000).toFixed(2)}`
    : `$${exactUsd(microUsd)}`;
}
