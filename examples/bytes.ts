/**
 * Arguments and results are values, not JSON: bytes, typed arrays, dates, maps, sets and big
 * integers arrive as what they were.
 *
 *     flotilla run examples/bytes.ts
 */
import { App } from "flotilla";

const app = new App("bytes");

export const histogram = app.function({}, (pixels: Uint8Array) => {
  const counts = new Uint32Array(256);
  for (const pixel of pixels) counts[pixel] = (counts[pixel] ?? 0) + 1;
  return { counts, brightest: new Set(pixels.filter((pixel) => pixel > 250)), at: new Date(0) };
});

app.localEntrypoint(async () => {
  const pixels = Uint8Array.from({ length: 1_000_000 }, (_, index) => index % 256);
  const { counts, brightest, at } = await histogram.remote(pixels);
  console.log(counts.constructor.name, counts[0], counts[255]);
  console.log(brightest);
  console.log(at.toISOString());
});
