/**
 * What fails there is an error here: the user's own with name, message, cause and source lines,
 * or a `CallError` when the platform ended the input.
 *
 *     flotilla run examples/errors.ts
 */
import { App, CallError, RemoteError } from "flotilla";

const app = new App("errors");

export const parse = app.function({ memoryMiB: 256, timeoutMs: 2_000 }, (text: string) => {
  if (text === "forever") for (;;);
  if (text === "exit") process.exit(3);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new RangeError(`${text} is no JSON`, { cause });
  }
});

app.localEntrypoint(async () => {
  for (const text of ["[1]", "{", "forever", "exit"]) {
    try {
      console.log(await parse.remote(text));
    } catch (error) {
      if (error instanceof CallError) console.log(`the platform: ${error.code}`);
      else if (error instanceof RemoteError) console.log(`${error.name}: ${error.message}`);
      else throw error;
    }
  }
});
