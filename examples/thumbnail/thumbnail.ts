/**
 * A URL that makes thumbnails: a PNG in, a smaller one out, on request in shades of grey.
 *
 * The entrypoint sends a picture over HTTP, looks at the pixels that come back, and sends what is
 * no picture.
 *
 *     flotilla run examples/thumbnail/thumbnail.ts
 *     flotilla deploy examples/thumbnail/thumbnail.ts
 *     curl --data-binary @photo.png -o small.png \
 *       'http://127.0.0.1:7070/web/default/thumbnail/thumbnail?width=200&grey'
 */
import { App } from "flotilla";
import { BadPicture, decodePng, encodePng, type Picture } from "./png.ts";

const app = new App("thumbnail");
const WIDTH_DEFAULT = 128;
const WIDTH_MAX = 2_048;
/** The platform takes bodies of gigabytes, this container does not. */
const BYTES_MAX = 64 * 1024 * 1024;

export const thumbnail = app.webEndpoint(
  { method: "POST", memoryMiB: 1_024, timeoutMs: 30_000 },
  async (request) => {
    const query = new URL(request.url).searchParams;
    const width = Number(query.get("width") ?? WIDTH_DEFAULT);
    if (!Number.isInteger(width) || width < 1 || width > WIDTH_MAX) {
      return refusal(400, `width must be a whole number from 1 to ${WIDTH_MAX}`);
    }
    const body = await bodyOf(request);
    if (body === undefined) return refusal(413, `a picture has ${BYTES_MAX} bytes at most`);
    try {
      const picture = shrink(decodePng(body), width);
      const png = encodePng(query.has("grey") ? greyed(picture) : picture);
      return new Response(png, { headers: { "content-type": "image/png" } });
    } catch (error) {
      // What was sent is wrong; anything else is a mistake here, and is answered with 500.
      if (error instanceof BadPicture) return refusal(422, `not a picture: ${error.message}`);
      throw error;
    }
  },
);

app.localEntrypoint(async () => {
  const url = await thumbnail.url();
  const answer = await fetch(`${url}?width=100&grey`, {
    method: "POST",
    body: encodePng(sunset()),
  });
  const { width, height, rgba } = decodePng(await answer.bytes());
  const pixels = Array.from({ length: width * height }, (_, at) =>
    rgba.subarray(at * 4, at * 4 + 3),
  );
  const isGrey = pixels.every(([red, green, blue]) => red === green && green === blue);
  console.log(`${answer.headers.get("content-type")}: ${width} x ${height}, grey: ${isGrey}`);
  console.log(`brightness at the top ${rgba[0]}, at the bottom ${rgba.at(-4)}`);

  const refused = await fetch(url, { method: "POST", body: "a sunset" });
  console.log(`${refused.status} ${await refused.text()}`);
});

function refusal(status: number, message: string): Response {
  return Response.json({ message }, { status });
}

/** The whole body; undefined when there is more than can be taken. */
async function bodyOf(request: Request): Promise<Uint8Array | undefined> {
  const stream: AsyncIterable<Uint8Array> | null = request.body;
  const parts: Uint8Array[] = [];
  let byteCount = 0;
  for await (const part of stream ?? []) {
    byteCount += part.byteLength;
    if (byteCount > BYTES_MAX) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** At most `width` wide, in the same proportions: each pixel is the mean of those it covers. */
function shrink(picture: Picture, widthMax: number): Picture {
  const width = Math.min(picture.width, widthMax);
  const height = Math.max(1, Math.round((picture.height * width) / picture.width));
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    const rows = covered(y, height, picture.height);
    for (let x = 0; x < width; x += 1) {
      rgba.set(meanOf(picture, covered(x, width, picture.width), rows), (y * width + x) * 4);
    }
  }
  return { width, height, rgba };
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Which of `large` pixels the one at `position` of `small` stands for: at least one. */
function covered(position: number, small: number, large: number): Range {
  const from = Math.floor((position * large) / small);
  return { from, to: Math.max(from + 1, Math.floor(((position + 1) * large) / small)) };
}

/** Colors count by their alpha, so that what is transparent leaves no dark rim. */
function meanOf({ width, rgba }: Picture, columns: Range, rows: Range): readonly number[] {
  let [red, green, blue, alphas] = [0, 0, 0, 0];
  for (let y = rows.from; y < rows.to; y += 1) {
    for (let x = columns.from; x < columns.to; x += 1) {
      const [r = 0, g = 0, b = 0, alpha = 0] = rgba.subarray((y * width + x) * 4);
      red += r * alpha;
      green += g * alpha;
      blue += b * alpha;
      alphas += alpha;
    }
  }
  const pixelCount = (rows.to - rows.from) * (columns.to - columns.from);
  const colors = [red, green, blue].map((sum) => Math.round(sum / Math.max(1, alphas)));
  return [...colors, Math.round(alphas / pixelCount)];
}

/** By luminance, with the weights of ITU-R BT.709. */
function greyed({ width, height, rgba }: Picture): Picture {
  const grey = new Uint8Array(rgba);
  for (let at = 0; at < grey.length; at += 4) {
    const [red = 0, green = 0, blue = 0] = grey.subarray(at);
    grey.fill(Math.round(0.2126 * red + 0.7152 * green + 0.0722 * blue), at, at + 3);
  }
  return { width, height, rgba: grey };
}

/** 400 x 300 pixels, from a dark blue at the top to orange at the bottom. */
function sunset(): Picture {
  const [width, height] = [400, 300];
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    const share = y / (height - 1);
    const color = [20 + 235 * share, 20 + 130 * share, 90 - 60 * share, 255];
    for (let x = 0; x < width; x += 1) rgba.set(color, (y * width + x) * 4);
  }
  return { width, height, rgba };
}
