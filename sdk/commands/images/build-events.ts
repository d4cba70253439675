import type { BuildEvent } from "../../protocol/image.ts";

/** The events in the text of an answer, cut anywhere; empty lines are passed over. */
export async function* parseBuildEvents(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<BuildEvent, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as BuildEvent;
  }
}
