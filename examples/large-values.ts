/** Arguments and results of any size: bytes and typed arrays travel as they are. */
import { App } from "flotilla";

const app = new App("large-values");

export const brighten = app.function(
  { memoryMiB: 512, timeoutMs: 120_000 },
  (pixels: Float32Array, factor: number) => pixels.map((value) => value * factor),
);

app.localEntrypoint(async () => {
  // 40 MB: more than fits one request.
  const pixels = new Float32Array(10_000_000).fill(2);
  const brighter = await brighten.remote(pixels, 1.5);
  console.log(`${brighter.length} pixels, the last is ${brighter.at(-1)}`);
});
