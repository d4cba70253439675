/**
 * A `Math.random` that can be made to forget.
 *
 * V8's own keeps its state where nothing reaches it, so all processes restored from one memory
 * image would go on with the same numbers. This one draws from OpenSSL, in handfuls.
 */
import vm from "node:vm";
import { syncBuiltinESMExports } from "node:module";

const DRAWN = 512;
const LOW_BITS = 26;
const HIGH_SHIFT = 5;
const LOW_SHIFT = 6;
const LOW_RANGE = 2 ** LOW_BITS;
const FRACTIONS = 2 ** 53;

const drawn = new Uint32Array(2 * DRAWN);
let used = drawn.length;

/** Evenly spread over the multiples of 2^-53 in [0, 1), as ECMA-262 wants of `Math.random`. */
export function random(): number {
  if (used >= drawn.length) {
    // Loaded where it is needed only: a start without a snapshot need not wait for it.
    process.getBuiltinModule("node:crypto").randomFillSync(drawn);
    used = 0;
  }
  const high = (drawn[used] ?? 0) >>> HIGH_SHIFT;
  const low = (drawn[used + 1] ?? 0) >>> LOW_SHIFT;
  used += 2;
  return (high * LOW_RANGE + low) / FRACTIONS;
}

/** Forgets what was drawn ahead. */
export function forgetDrawn(): void {
  drawn.fill(0);
  used = drawn.length;
}

/** Puts it in the place of V8's, here and in every context that code makes from now on. */
export function takeOverMathRandom(): void {
  replaceIn(Math);
  const { createContext } = vm;
  const created: typeof createContext = (given, options) => {
    const isObject = typeof given === "object";
    const context = isObject
      ? createContext(given, options)
      : (createContext as (one: unknown, two: unknown) => vm.Context)(given, options);
    replaceIn(vm.runInContext("Math", context) as Math);
    return context;
  };
  const ranInNew: typeof vm.runInNewContext = (code, given, options) => {
    return vm.runInContext(code, created(given ?? {}), options) as unknown;
  };
  Object.assign(vm, { createContext: created, runInNewContext: ranInNew });
  Object.defineProperty(vm.Script.prototype, "runInNewContext", {
    value(this: vm.Script, given?: vm.Context, options?: vm.RunningCodeInNewContextOptions) {
      return this.runInContext(created(given ?? {}), options) as unknown;
    },
    writable: true,
    configurable: true,
  });
  syncBuiltinESMExports();
}

function replaceIn(math: Math): void {
  Object.defineProperty(math, "random", {
    value: random,
    writable: true,
    configurable: true,
    enumerable: false,
  });
}
