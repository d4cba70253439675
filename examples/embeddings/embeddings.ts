/**
 * A folder of texts as an index of vectors, made by many containers, and asked by another.
 *
 * Each file is one input of a map: containers cut it into passages and embed them. A file that
 * fails is named at the end and the rest goes on. The index is written to a volume, where
 * `nearest` reads it: the passages that are most like a question.
 *
 *     flotilla run examples/embeddings/embeddings.ts
 *     flotilla run examples/embeddings/embeddings.ts docs "how are volumes committed?"
 *
 * `embed` hashes words, so that this runs without a download (see embed.ts). With a model in its
 * place, loaded in a class as in sentiment.ts, nothing else changes.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { App, Volume } from "flotilla";
import { embed, likeness, passagesOf } from "./embed.ts";

const app = new App("embeddings");
const shelf = Volume.fromName("example-embeddings", { createIfMissing: true });
const INDEX = "passages.index";
/** Files that are not text are not read at all. */
const TEXT = /\.(txt|md)$/;

interface Passage {
  readonly file: string;
  readonly text: string;
  readonly vector: Float32Array;
}

interface TextFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

export const embedFile = app.function(
  { maxContainers: 4, retries: 1 },
  ({ file, bytes }: TextFile): readonly Passage[] => {
    if (bytes.includes(0)) throw new Error(`${file} is no text`);
    const text = textOf(file, bytes);
    return passagesOf(text).map((passage) => ({ file, text: passage, vector: embed(passage) }));
  },
);

export const nearest = app.function(
  { volumes: { "/shelf": shelf } },
  async (question: string, count: number) => {
    // A container that has answered before is brought up to date.
    await shelf.reload();
    const passages = deserialize(await readFile(`/shelf/${INDEX}`)) as readonly Passage[];
    const asked = embed(question);
    return passages
      .map(({ file, text, vector }) => ({ file, text, likeness: likeness(asked, vector) }))
      .toSorted((left, right) => right.likeness - left.likeness)
      .slice(0, count);
  },
);

app.localEntrypoint(
  async (
    folder: string = "examples/embeddings/notes",
    question: string = "why is the tide highest at full moon?",
  ) => {
    const names = await readdir(folder, { recursive: true });
    const files = names.filter((name) => TEXT.test(name)).toSorted();
    const passages: Passage[] = [];
    const failures: string[] = [];
    let embeddedCount = 0;
    const results = embedFile.map(read(folder, files, failures), {
      ordered: false,
      returnExceptions: true,
    });
    for await (const result of results) {
      if (result instanceof Error) failures.push(result.message);
      else {
        passages.push(...result);
        embeddedCount += 1;
      }
      const doneCount = embeddedCount + failures.length;
      console.error(`${doneCount} of ${files.length} files, ${passages.length} passages`);
    }
    await shelf.writeFile(INDEX, serialize(passages));

    console.log(`${passages.length} passages of ${embeddedCount} files`);
    for (const failure of failures) console.log(`left out: ${failure}`);
    for (const found of await nearest.remote(question, 3)) {
      console.log(`${found.likeness.toFixed(2)} ${found.file}: ${found.text.slice(0, 60)}`);
    }
  },
);

/** Each file when it is its turn, so that a large folder is never in memory as a whole. */
async function* read(
  folder: string,
  files: readonly string[],
  failures: string[],
): AsyncGenerator<TextFile> {
  for (const file of files) {
    try {
      yield { file, bytes: await readFile(join(folder, file)) };
    } catch (error) {
      failures.push(`${file} cannot be read: ${String(error)}`);
    }
  }
}

function textOf(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error(`${file} is not UTF-8`, { cause: error });
  }
}
