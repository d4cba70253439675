/** What a container's runner says, read frame by frame and checked. */
import { messageOf } from "../../core/index.ts";
import { FRAME_BYTES_MAX, FrameDecoder, keptMemory, type Frame } from "../../sdk/protocol/index.ts";
import { checkMessage } from "../runners/check-message.ts";
import type { FromRunner } from "../runners/protocol.ts";
import type { RunningSandbox } from "../runtime/runtime.ts";
import { ReadPace } from "./read-pace.ts";

/** A runner's headers are JSON that the agent reads for all its containers; payloads are not. */
const HEADER_BYTES_MAX = 16 * 1024 * 1024;
const HEADER_BYTES_PER_SECOND_MAX = 64 * 1024 * 1024;

export interface RunnerListener {
  readonly onFrame: (frame: Frame<FromRunner>) => void;
  /** It breaks the protocol, and is not listened to any more. */
  readonly onBroken: (why: string) => void;
}

/** Reads from a sandbox's channel from now on; `heard` was read of it before. */
export function readRunner(
  { channel }: Pick<RunningSandbox, "channel">,
  heard: readonly Uint8Array[],
  { onFrame, onBroken }: RunnerListener,
): void {
  const decoder = new FrameDecoder(FRAME_BYTES_MAX, HEADER_BYTES_MAX, placeOf);
  const pace = new ReadPace(channel, HEADER_BYTES_PER_SECOND_MAX);
  const onData = (chunk: Uint8Array): void => {
    const before = decoder.headerBytes;
    try {
      for (const { header, body } of decoder.pushBorrowed(chunk)) {
        onFrame({ header: checkMessage(header), body });
      }
      pace.count(decoder.headerBytes - before);
    } catch (error) {
      // A broken runner harms nobody but itself.
      channel.off("data", onData);
      channel.resume();
      onBroken(`its runner broke the protocol: ${messageOf(error)}`);
    }
  };
  for (const chunk of heard) onData(chunk);
  channel.on("data", onData).resume();
  // The end of the channel is the end of the container, which `exited` tells.
  channel.on("error", () => undefined);
}

/** Only the bodies of requests are passed on and gone. */
function placeOf(header: unknown, bodyBytes: number): Uint8Array | undefined {
  const isRequest =
    typeof header === "object" && header !== null && Reflect.get(header, "type") === "request";
  return isRequest ? keptMemory(bodyBytes) : undefined;
}
