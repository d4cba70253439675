/**
 * What the server opens in one container, each on a stream: shells, which are programs in
 * terminals beside what runs in it, and archives of what it has written to its root.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../../core/index.ts";
import { encodeShellData, encodeShellFrame } from "../../sdk/protocol/index.ts";
import type { AttachedProgram, RunningSandbox } from "../runtime/runtime.ts";
import { packWritten } from "../images/pack/pack-written.ts";
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
  readonly sandbox: () => Pick<RunningSandbox, "attach" | "written"> | undefined;
  /** Variables of the function. */
  readonly environment: () => Readonly<Record<string, string>>;
  readonly send: (streamId: string, piece: Piece, body: Uint8Array) => void;
  /** Tells the user something about the container. */
  readonly note: (text: string) => void;
}

/** An archive that is wanted. */
export interface PackWish {
  readonly streamId: string;
  /** Most bytes of files in it. */
  readonly bytesMax: number;
}

/** Shells and archives of one container at once: each shell is a process of the node too. */
const STREAMS_MAX = 16;
/** Most paths that are named when no layer can have them. */
const LEFT_OUT_MAX = 20;
const VARIABLE_BYTES_MAX = 0xffff;
const ERROR_CHARACTERS_MAX = 2_000;
const PATH_CHARACTERS_MAX = 200;
const NONE =
  "no shell can be opened in this container: it runs as a plain process, has not started, or " +
  "its node's agent found no C compiler (cc)";

export class ContainerShells {
  readonly #options: ContainerShellsOptions;
  readonly #streams = new Map<string, PieceStream>();

  constructor(options: ContainerShellsOptions) {
    this.#options = options;
  }

  /** Opens a shell; what goes wrong is said on its stream. */
  open(wish: ShellWish): void {
    const stream = this.#streamOf(wish.streamId);
    if (stream === undefined) return;
    const attach = this.#options.sandbox()?.attach;
    if (attach === undefined) stream.destroy(new Error(NONE));
    else void this.#serve(attach(wish.command), wish, stream);
  }

  /** Sends an archive of what was written; what goes wrong is said on its stream. */
  pack({ streamId, bytesMax }: PackWish): void {
    const stream = this.#streamOf(streamId);
    if (stream === undefined) return;
    const written = this.#options.sandbox()?.written;
    if (written === undefined) {
      stream.destroy(new Error("the container has no disk to which its root is written"));
      return;
    }
    const onLeftOut = leftOutNotes((text) => this.#options.note(text));
    const archive = packWritten(written, { bytesMax, onLeftOut });
    pipeline(Readable.from(archive, { objectMode: false }), stream).catch((error: unknown) => {
      stream.destroy(new Error(messageOf(error)));
    });
  }

  /** A stream of this name; undefined when there is one already, or it is refused. */
  #streamOf(streamId: string): PieceStream | undefined {
    if (this.#streams.has(streamId)) return undefined;
    const stream = new PieceStream((piece, body) => this.#options.send(streamId, piece, body));
    // Its end is the end of what it was opened for, whatever it came by.
    stream.on("error", () => undefined);
    stream.once("close", () => this.#streams.delete(streamId));
    const isFull = this.#streams.size >= STREAMS_MAX;
    this.#streams.set(streamId, stream);
    if (!isFull) return stream;
    stream.destroy(new Error(`the container has ${STREAMS_MAX} shells already`));
    return undefined;
  }

  /** A piece from the server; whether it is of a shell or an archive. */
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

/** Says what is left out of an archive; of many the first few. */
function leftOutNotes(note: (text: string) => void): (path: string, why: string) => void {
  let count = 0;
  return (path, why) => {
    count += 1;
    if (count > LEFT_OUT_MAX) return;
    const more = count === LEFT_OUT_MAX ? "; others like it are not named" : "";
    note(`flotilla: the image of this sandbox's files is without ${shown(path)}: ${why}${more}`);
  };
}

function shown(path: string): string {
  return JSON.stringify(`/${path}`).slice(0, PATH_CHARACTERS_MAX);
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
