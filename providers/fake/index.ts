/** A cloud in memory, and the clock to drive it. */
export {
  createFakeProvider,
  type FakeProvider,
  type FakeProviderOptions,
} from "./fake-provider.ts";
export { createManualClock, type ManualClock } from "./manual-clock.ts";
