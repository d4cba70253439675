/**
 * What runs inside a sandbox: starts programs, holds what they print until it was taken, and
 * reads and writes files. Its text is sent to the platform as the code of a function, so nothing
 * here may use anything from outside but what Node has built in.
 *
 * Every answer may be asked for again: output and input have positions, so that a call that ran
 * twice takes and gives nothing twice.
 */
import { openFilesBelow } from "../volumes/open-files.ts";
import { startInTerminal, type StartInTerminal } from "./terminal-program.ts";
import type { TerminalSize } from "./terminal-size.ts";

/** The module that is deployed; equal for all sandboxes of one version of the SDK. */
export function sandboxProgramSource(): string {
  const parts = [
    newOutput,
    newState,
    startInTerminal,
    startPlain,
    startProgram,
    programOperations,
    fileOperations,
    watchOperations,
    openFilesBelow,
    volumeOperations,
  ];
  // By the names that they have now: a bundler may have given them others.
  return `${parts.map((part) => part.toString()).join("\n")}
const state = ${newState.name}();
const operations = {
  ...${programOperations.name}(state, ${startInTerminal.name}),
  ...${fileOperations.name}(), ...${watchOperations.name}(),
  ...${volumeOperations.name}(${openFilesBelow.name}),
};
const handler = (instance, operation, ...args) => {
  state.check(instance, operation);
  return operations[operation](...args);
};
globalThis[Symbol.for("flotilla.runtime")] = {
  resolveProgram: () => ({
    construct: () => undefined, enter: () => Promise.resolve(), handler, exits: [],
    admitTunnel: () => state.checkOpen(),
  }),
};
`;
}

/** Name of the error for a sandbox that is not there any more. */
export const ENDED = "SandboxEnded";

interface State {
  readonly instance: string;
  isOpen: boolean;
  check(instance: string, operation: string): void;
  checkOpen(): void;
}

/** One stream of a program: what is not taken yet, from a position on. */
interface Output {
  add(bytes: Uint8Array): void;
  end(): void;
  /** Bytes from a position on, once there are any; those before it are forgotten. */
  take(
    from: number,
    waitMs: number,
  ): Promise<{ readonly bytes: Uint8Array; readonly ended: boolean }>;
}

function newState(): State {
  const { randomUUID } = process.getBuiltinModule("node:crypto");
  const ended = (): Error =>
    Object.assign(new Error("the sandbox has ended"), { name: "SandboxEnded" });
  const state: State = {
    instance: randomUUID(),
    isOpen: false,
    check: (instance, operation) => {
      if (operation !== "open" && instance !== state.instance) throw ended();
    },
    checkOpen: () => {
      if (!state.isOpen) throw ended();
    },
  };
  return state;
}

function newOutput(pause: () => void, resume: () => void): Output {
  const HELD_BYTES_MAX = 1024 * 1024;
  const TAKEN_BYTES_MAX = 256 * 1024;
  let held = Buffer.alloc(0);
  let start = 0;
  let ended = false;
  let wake = (): void => undefined;
  return {
    add: (bytes) => {
      held = Buffer.concat([held, bytes]);
      if (held.byteLength >= HELD_BYTES_MAX) pause();
      wake();
    },
    end: () => {
      ended = true;
      wake();
    },
    take: async (from, waitMs) => {
      held = held.subarray(Math.max(0, from - start));
      start = Math.max(start, from);
      if (held.byteLength < HELD_BYTES_MAX) resume();
      if (held.byteLength === 0 && !ended) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const bytes = new Uint8Array(held.subarray(0, TAKEN_BYTES_MAX));
      return { bytes, ended: ended && bytes.byteLength === held.byteLength };
    },
  };
}

interface Program {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly exited: Promise<{ readonly exitCode: number; readonly signal?: string }>;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly end: () => void;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly resize: (size: TerminalSize) => void;
  written: number;
  /** The last write, while its bytes are not taken. */
  writing: Promise<unknown>;
}

type Child = import("node:child_process").ChildProcessWithoutNullStreams;
type Controls = Pick<Program, "write" | "end" | "kill" | "resize"> & { readonly child: Child };

async function startPlain(
  [file = "", ...args]: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<Controls> {
  const { spawn } = process.getBuiltinModule("node:child_process");
  // A group of its own, so that it can be ended with all it started.
  const child = spawn(file, args, { ...options, stdio: "pipe", detached: true });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  child.stdin.on("error", () => undefined);
  return {
    child,
    write: (bytes) => new Promise((resolve) => child.stdin.write(bytes, () => resolve())),
    end: () => {
      child.stdin.end();
    },
    kill: (signal) => {
      const isGone = child.exitCode !== null || child.signalCode !== null;
      if (child.pid !== undefined && !isGone) process.kill(-child.pid, signal);
    },
    resize: () => {
      throw new Error("the program has no terminal: start it with pty");
    },
  };
}

async function startProgram(
  command: readonly string[],
  options: ProgramOptions,
  open: StartInTerminal,
): Promise<Program> {
  const END_OF_INPUT = Uint8Array.of(4);
  const env = { ...process.env, ...options.env };
  const places = { cwd: options.workdir ?? "/tmp", env };
  const inTerminal = async (size: TerminalSize): Promise<Controls> => {
    const { child, type, resize, signal } = await open(command, size, places);
    return { child, write: type, end: () => void type(END_OF_INPUT), resize, kill: signal };
  };
  const { pty } = options;
  const { child, ...controls } = await (pty === undefined
    ? startPlain(command, places)
    : inTerminal(pty));
  const follow = (stream: Child["stdout"]): Output => {
    const output = newOutput(
      () => stream.pause(),
      () => stream.resume(),
    );
    stream.on("data", (chunk: Uint8Array) => output.add(chunk));
    if (stream.closed) output.end();
    else stream.once("close", () => output.end());
    return output;
  };
  return {
    ...controls,
    stdout: follow(child.stdout),
    stderr: follow(child.stderr),
    exited: new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        resolve({ exitCode: code ?? 128, ...(signal === null ? {} : { signal }) });
      });
    }),
    written: 0,
    writing: Promise.resolve(),
  };
}

function programOperations(state: State, open: StartInTerminal) {
  const programs = new Map<string, Promise<Program>>();
  const find = (id: string): Promise<Program> => {
    const program = programs.get(id);
    if (program === undefined) throw new Error(`there is no program ${id} in this sandbox`);
    return program;
  };
  return {
    open: (isNew: boolean, lifetimeMs: number) => {
      if (!isNew) state.checkOpen();
      if (!state.isOpen) setTimeout(() => process.exit(0), lifetimeMs);
      state.isOpen = true;
      return state.instance;
    },
    start: async (id: string, command: readonly string[], options: ProgramOptions) => {
      // Kept at once: the same start that comes again waits for the first.
      const program = programs.get(id) ?? startProgram(command, options, open);
      programs.set(id, program);
      await program;
    },
    take: async (id: string, stream: "stdout" | "stderr", from: number, waitMs: number) => {
      const program = await find(id);
      return program[stream].take(from, waitMs);
    },
    wait: async (id: string, waitMs: number) => {
      const { exited } = await find(id);
      return Promise.race([
        exited,
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), waitMs)),
      ]);
    },
    // Whether it is taken; what is asked for again is not written again.
    write: async (id: string, from: number, bytes: Uint8Array, waitMs: number) => {
      const program = await find(id);
      const fresh = bytes.subarray(Math.max(0, program.written - from));
      program.written += fresh.byteLength;
      if (fresh.byteLength > 0) program.writing = program.write(fresh);
      return Promise.race([
        program.writing.then(() => true),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), waitMs)),
      ]);
    },
    resize: async (id: string, size: TerminalSize) => (await find(id)).resize(size),
    end: async (id: string) => (await find(id)).end(),
    kill: async (id: string, signal: NodeJS.Signals) => (await find(id)).kill(signal),
  };
}

/** How a program is started in a sandbox. */
export interface ProgramOptions {
  /** Its working folder; `/tmp` unless given. */
  readonly workdir?: string;
  /** Variables beside those of the sandbox. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Runs it in a terminal of this size: what it shows all comes on `stdout`, its input is keys,
   * of which Ctrl-C (byte 3) interrupts.
   */
  readonly pty?: TerminalSize;
}

function fileOperations() {
  const fs = process.getBuiltinModule("node:fs/promises");
  return {
    readFile: async (path: string, offset: number, bytesMax: number) => {
      const file = await fs.open(path, "r");
      try {
        const bytes = new Uint8Array(bytesMax);
        const { bytesRead } = await file.read(bytes, 0, bytesMax, offset);
        return bytes.slice(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    writeFile: async (path: string, offset: number, bytes: Uint8Array) => {
      const file = await fs.open(path, offset === 0 ? "w" : "r+");
      try {
        for (let done = 0; done < bytes.byteLength;) {
          const left = bytes.byteLength - done;
          const { bytesWritten } = await file.write(bytes, done, left, offset + done);
          done += bytesWritten;
        }
      } finally {
        await file.close();
      }
    },
    list: async (path: string) => {
      const entries = await fs.readdir(path, { withFileTypes: true });
      const described = entries.map(async (entry) => {
        const stats = await fs.lstat(`${path}/${entry.name}`);
        const isLink = entry.isSymbolicLink();
        const type = entry.isDirectory() ? "folder" : isLink ? "link" : "file";
        return { name: entry.name, type, bytes: stats.size, modifiedAtMs: stats.mtimeMs };
      });
      return (await Promise.all(described)).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    makeFolder: async (path: string) => {
      await fs.mkdir(path, { recursive: true });
    },
    remove: (path: string) => fs.rm(path, { recursive: true, force: true }),
  };
}

function watchOperations() {
  const { watch } = process.getBuiltinModule("node:fs");
  const EVENTS_MAX = 10_000;
  const watches = new Map<
    string,
    { readonly names: string[]; readonly output: Output; readonly close: () => void }
  >();
  return {
    watch: (id: string, path: string) => {
      if (watches.has(id)) return;
      const output = newOutput(
        () => undefined,
        () => undefined,
      );
      const names: string[] = [];
      const watcher = watch(path, (_, name) => {
        if (name === null || names.length >= EVENTS_MAX) return;
        names.push(name);
        // One byte an event: positions and waiting are those of output.
        output.add(Buffer.from([0]));
      });
      watches.set(id, { names, output, close: () => watcher.close() });
    },
    watched: async (id: string, from: number, waitMs: number) => {
      const found = watches.get(id);
      if (found === undefined) throw new Error(`there is no watch ${id} in this sandbox`);
      const { bytes } = await found.output.take(from, waitMs);
      return found.names.slice(from, from + bytes.byteLength);
    },
    unwatch: (id: string) => {
      watches.get(id)?.close();
      watches.delete(id);
    },
  };
}

interface ContainerRequests {
  request(request: {
    readonly method: string;
    readonly path: string;
  }): Promise<{ readonly status: number; readonly body: Uint8Array }>;
}

function volumeOperations(openFiles: typeof openFilesBelow) {
  return {
    askVolumes: async (method: string, path: string) => {
      const container = Reflect.get(
        globalThis,
        Symbol.for("flotilla.container"),
      ) as ContainerRequests;
      const { status, body } = await container.request({ method, path });
      return { status, body };
    },
    openFiles: (folder: string) => openFiles(folder),
  };
}
