/** The shells of one container: programs in terminals beside what runs in it, each on a stream. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../../core/index.ts";
import { encodeShellData, encodeShellFrame } from "../../sdk/protocol/index.ts";
import type { AttachedProgram, RunningSandbox } from "../runtime/runtime.ts";
import { PieceStream } from "../streams/piece-stream.ts";
import type { Piece } from "../streams/piece.ts";

/** A shell that is wanted. */
export interface ShellWish {
  readonly streamId: string;
  readonly command: readonly string[];
  readonly rows: number;
  readonly cols: number;
  /** The kind of terminal that it is shown in, for `TERM`. */
  readonly term: string;
}

export interface ContainerShellsOptions {
  /** What runs of it; undefined before it has started. */
  readonly sandbox: () => Pick<RunningSandbox, "attach"> | undefined;
  /** Variables of the function. */
  readonly environment: () => Readonly<Record<string, string>>;
  readonly send: (streamId: string, piece: Piece, body: Uint8Array) => void;
}

/** Shells of one container at once: each is a process of the node too. */
const SHELLS_MAX = 16;
const VARIABLE_BYTES_MAX = 0xffff;
const ERROR_CHARACTERS_MAX = 2_000;
const NONE =
  "no shell can be opened in this container: it runs as a plain process, has not started, or " +
  "its node's agent found no C compiler (cc)";

export class ContainerShells {
  readonly #options: ContainerShellsOptions;
  readonly #streams = new Map<string, PieceStream>();

  constructor(options: ContainerShellsOptions) {
    this.#options = options;
  }

  /** Opens one; what goes wrong is said on its stream. */
  open(wish: ShellWish): void {
    const { streamId } = wish;
    if (this.#streams.has(streamId)) return;
    const stream = new PieceStream((piece, body) => this.#options.send(streamId, piece, body));
    // Its end is the end of the shell, whatever it came by.
    stream.on("error", () => undefined);
    stream.once("close", () => this.#streams.delete(streamId));
    const attach = this.#options.sandbox()?.attach;
    const isFull = this.#streams.size >= SHELLS_MAX;
    this.#streams.set(streamId, stream);
    if (isFull) stream.destroy(new Error(`the container has ${SHELLS_MAX} shells already`));
    else if (attach === undefined) stream.destroy(new Error(NONE));
    else void this.#serve(attach(wish.command), wish, stream);
  }

  /** A piece from the server; whether it is of a shell. */
  hear(streamId: string, piece: Piece, body: Uint8Array): boolean {
    const stream = this.#streams.get(streamId);
    stream?.hear(piece, body);
    return stream !== undefined;
  }

  /** Ends them all: the container has ended, or the server is gone. */
  close(why: string): void {
    for (const stream of this.#streams.values()) stream.destroy(new Error(why));
  }

  async #serve(program: AttachedProgram, wish: ShellWish, stream: PieceStream): Promise<void> {
    const { rows, cols, term } = wish;
    const variables = Object.entries({ ...this.#options.environment(), TERM: term });
    for (const [name, value] of variables) {
      const bytes = new TextEncoder().encode(`${name}=${value}`);
      // Longer ones are no variables of any use in a terminal.
      if (bytes.byteLength <= VARIABLE_BYTES_MAX) program.stdin.write(encodeShellData("e", bytes));
    }
    program.stdin.write(encodeShellFrame("g", rows, cols));
    // The end of its input hangs it up, and in the end `runsc exec` ends with it.
    stream.once("close", () => program.stdin.end());
    pipeline(stream, program.stdin).catch(() => undefined);
    try {
      await pipeline(Readable.from(shownBy(program)), stream);
    } catch (error) {
      stream.destroy(new Error(messageOf(error)));
    }
  }
}

/** What a program shows, and how it ended, as frames. */
async function* shownBy(program: AttachedProgram): AsyncGenerator<Uint8Array, void, void> {
  let errors = "";
  program.stderr.on("data", (chunk: Uint8Array) => {
    errors = (errors + Buffer.from(chunk).toString()).slice(-ERROR_CHARACTERS_MAX);
  });
  for await (const chunk of program.stdout as AsyncIterable<Uint8Array>) {
    yield encodeShellData("o", chunk);
  }
  const exitCode = await program.exited;
  if (errors !== "") yield encodeShellData("m", new TextEncoder().encode(errors.trim()));
  yield encodeShellFrame("x", exitCode);
}
