/** The first words with a runner, before a container listens to it. */
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import { encodeFrame, FrameDecoder } from "../../sdk/protocol/index.ts";
import { checkMessage } from "../runners/check-message.ts";
import type { FromRunner, ToRunner } from "../runners/protocol.ts";
import type { RunningSandbox } from "../runtime/runtime.ts";

export interface Handshake {
  readonly say: ToRunner;
  readonly bodies: readonly Uint8Array[];
  /** Whether a message is the answer that is waited for. */
  readonly isAnswer: (message: FromRunner) => boolean;
  /** Longest wait for it. */
  readonly withinMs: number;
  readonly clock: Clock;
}

/** What a runner answered, and all bytes that came until then, for who listens next. */
export interface Answered {
  readonly message: FromRunner;
  readonly heard: readonly Uint8Array[];
}

const LAST_WORDS_CHARACTERS_MAX = 500;

/**
 * Says something to a runner and waits for its answer; the channel is paused then.
 *
 * @throws PlatformError `unavailable` when the runner ends, breaks the protocol or does not
 *   answer in time. The sandbox is left as it is.
 */
export async function shakeHands(
  sandbox: RunningSandbox,
  { say, bodies, isAnswer, withinMs, clock }: Handshake,
): Promise<Answered> {
  const { channel } = sandbox;
  const heard: Uint8Array[] = [];
  const decoder = new FrameDecoder();
  const settled = new AbortController();
  const { promise: answered, resolve, reject } = Promise.withResolvers<FromRunner>();
  const onData = (chunk: Uint8Array): void => {
    heard.push(chunk);
    try {
      const messages = decoder.push(chunk).map(({ header }) => checkMessage(header));
      const answer = messages.find(isAnswer);
      if (answer === undefined) return;
      // Nothing may be lost between this listener and the next.
      channel.pause();
      resolve(answer);
    } catch (error) {
      reject(failed(`its runner broke the protocol: ${messageOf(error)}`));
    }
  };
  channel.on("data", onData);
  // The end of the channel is the end of the sandbox, which `exited` tells.
  channel.on("error", () => undefined);
  channel.resume();
  channel.write(encodeFrame(say, bodies));
  void sandbox.exited.then(({ exitCode }) => {
    const said: unknown = sandbox.stderr.read();
    const words = said instanceof Uint8Array ? Buffer.from(said).toString() : "";
    const code = exitCode === undefined ? "" : ` with code ${exitCode}`;
    reject(failed(`it ended${code} ${words.slice(0, LAST_WORDS_CHARACTERS_MAX)}`.trim()));
  });
  void clock.sleep(withinMs, settled.signal).then(() => {
    reject(failed(`it did not answer within ${withinMs} ms`));
  });
  try {
    return { message: await answered, heard };
  } finally {
    settled.abort();
    channel.off("data", onData);
  }
}

function failed(message: string): PlatformError {
  return new PlatformError(message, { code: "unavailable", retryable: false });
}
