/**
 * The user's function or class in this process: loaded, built, entered, and left.
 *
 * The order of a start is fixed: the module, the constructor, the enter hooks that may be kept in
 * a memory snapshot, then those that run in every container.
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { decodeValue } from "../../../sdk/protocol/index.ts";

/** What the SDK inside the user's bundle gives for a function; see its `UserProgram`. */
export interface UserProgram {
  construct(params: readonly unknown[]): unknown;
  enter(snapshot: boolean): Promise<void>;
  readonly handler: (...args: readonly unknown[]) => unknown;
  readonly exits: readonly (() => Promise<void>)[];
  /** Its inputs are HTTP requests, and the handler takes a `Request`. */
  readonly isWeb?: boolean;
  /**
   * Present in sandboxes: requests to ports of the container are passed on to them, beside the
   * handler's inputs, unless this throws.
   */
  readonly admitTunnel?: () => void;
  /** It is an HTTP server that listens on this port, started by `enter` unless by a program. */
  readonly server?: { readonly port: number; readonly command?: readonly string[] };
}

type ResolveProgram = (module: unknown, functionName: string, appName: string) => UserProgram;

export interface ProgramSource {
  readonly functionName: string;
  readonly appName: string;
  readonly code: Uint8Array;
  /** The payload of a class's parameters; empty without any. */
  readonly params: Uint8Array;
}

/** The container's own folder that it may write to; read before the user's variables are set. */
const CODE_DIR = tmpdir();

/**
 * Loads the code and builds the instance of a class, as far as a memory snapshot may hold it.
 *
 * @throws what the user's module, constructor or hooks throw.
 */
export async function loadProgram(source: ProgramSource): Promise<UserProgram> {
  const file = join(CODE_DIR, `app-${process.pid}.mjs`);
  writeFileSync(file, source.code);
  const module: unknown = await import(pathToFileURL(file).href);
  const program = resolveProgram(module, source);
  program.construct(paramsOf(source.params));
  await program.enter(true);
  return program;
}

/** The SDK inside the user's bundle knows which function has which name. */
function resolveProgram(module: unknown, { functionName, appName }: ProgramSource): UserProgram {
  const runtime: unknown = Reflect.get(globalThis, Symbol.for("flotilla.runtime"));
  if (typeof runtime !== "object" || runtime === null || !("resolveProgram" in runtime)) {
    throw new Error(`the code does not import "flotilla", so it has no function ${functionName}`);
  }
  const { resolveProgram: resolve } = runtime as { resolveProgram: ResolveProgram };
  return resolve(module, functionName, appName);
}

function paramsOf(payload: Uint8Array): readonly unknown[] {
  if (payload.byteLength === 0) return [];
  const params = decodeValue(payload);
  if (Array.isArray(params)) return params;
  throw new TypeError("the parameters are no list");
}
