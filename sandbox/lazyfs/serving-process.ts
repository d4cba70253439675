/** The process that serves images, as its parent sees it: asked, watched and ended. */
import { fork, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PlatformError, type Clock } from "../../core/index.ts";
import type { ChunkPeer } from "../peers/peer-ticket.ts";
import type { RequestFigures } from "./request-counts.ts";
import type { FromServing, ServingConfig, ToServing } from "./serving-messages.ts";

/** Its module, beside a bundled agent. */
export const LAZYFS_FILE = "flotilla-lazyfs.mjs";

const READY_MADE = fileURLToPath(new URL(`./${LAZYFS_FILE}`, import.meta.url));
const SOURCE = fileURLToPath(new URL("./main.ts", import.meta.url));
/** A mount reads the index of its image first, which may have to be fetched. */
const ANSWER_MS_MAX = 60_000;

export interface ServingProcessOptions {
  readonly config: ServingConfig;
  readonly token: string;
  readonly clock: Clock;
  /** The process has ended; all its mounts are dead. */
  readonly onExit: () => void;
  readonly onTrouble: (message: string) => void;
}

type Question = ToServing & { readonly type: "mount" | "unmount" | "trace" | "count" };
type Answer = FromServing & { readonly type: "mounted" | "unmounted" | "traced" | "counted" };

interface Waiting {
  readonly mountId: string;
  readonly type: Answer["type"];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

const ANSWERS = {
  mount: "mounted",
  unmount: "unmounted",
  trace: "traced",
  count: "counted",
} as const;

export class ServingProcess {
  readonly #child: ChildProcess;
  readonly #options: ServingProcessOptions;
  readonly #waiting = new Set<Waiting>();
  readonly #exited: Promise<void>;
  #hasEnded = false;

  constructor(options: ServingProcessOptions) {
    this.#options = options;
    // The folder says whose it is to who finds it later.
    this.#child = fork(existsSync(READY_MADE) ? READY_MADE : SOURCE, [options.config.cacheDir], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: [],
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    });
    this.#child.on("message", (message: FromServing) => this.#receive(message));
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        if (this.#hasEnded) return;
        this.#hasEnded = true;
        for (const { reject, mountId } of this.#waiting) reject(ended(mountId));
        this.#waiting.clear();
        options.onExit();
        resolve();
      };
      this.#child.once("exit", end);
      this.#child.once("error", end);
    });
    this.#send({ type: "open", config: options.config, token: options.token });
  }

  /** Its process id, for tests that kill it; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Mounts an image. @throws PlatformError as reading or mounting it does */
  async mount(wanted: Omit<ToServing & { readonly type: "mount" }, "type">): Promise<void> {
    await this.#ask({ type: "mount", ...wanted });
  }

  /** Has chunks of an image fetched ahead, once it is mounted. */
  prefetch(mountId: string, chunks: readonly number[]): void {
    this.#send({ type: "prefetch", mountId, chunks });
  }

  async unmount(mountId: string): Promise<void> {
    await this.#ask({ type: "unmount", mountId });
  }

  /** The chunks of an image that were used since it was mounted, in order. */
  async trace(mountId: string): Promise<readonly number[]> {
    const answer = await this.#ask({ type: "trace", mountId });
    return answer.type === "traced" ? answer.chunks : [];
  }

  /** What the kernel asked for since an image was mounted. */
  async requests(mountId: string): Promise<RequestFigures> {
    const answer = await this.#ask({ type: "count", mountId });
    return answer.type === "counted" ? answer.requests : {};
  }

  /** Other nodes that may have chunks of what is mounted next. */
  meet(peers: readonly ChunkPeer[]): void {
    this.#send({ type: "peers", peers });
  }

  /** The bearer token for the server from now on. */
  renew(token: string): void {
    this.#send({ type: "token", token });
  }

  /** Unmounts everything and ends the process. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
  }

  async #ask(question: Question): Promise<Answer> {
    const { mountId } = question;
    if (this.#hasEnded) throw ended(mountId);
    const over = new AbortController();
    const late = this.#options.clock.sleep(ANSWER_MS_MAX, over.signal).then(() => {
      throw new PlatformError(`image ${mountId} was not ${ANSWERS[question.type]} in time`, {
        code: "timed_out",
        retryable: true,
        details: { mountId },
      });
    });
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiting.add({ mountId, type: ANSWERS[question.type], resolve, reject });
    });
    this.#send(question);
    try {
      return await Promise.race([answer, late]);
    } finally {
      over.abort();
      late.catch(() => undefined);
    }
  }

  #receive(message: FromServing): void {
    if (message.type === "trouble") {
      this.#options.onTrouble(message.message);
      return;
    }
    for (const waiting of this.#waiting) {
      if (waiting.mountId !== message.mountId) continue;
      if (message.type === "failed") {
        const { code, retryable } = message;
        waiting.reject(new PlatformError(message.message, { code, retryable }));
      } else if (message.type === waiting.type) waiting.resolve(message);
      else continue;
      this.#waiting.delete(waiting);
      return;
    }
  }

  #send(message: ToServing): void {
    // It may be gone: who waits for an answer hears of its end.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}

function ended(mountId: string): PlatformError {
  return new PlatformError(`the process that serves image ${mountId} has ended`, {
    code: "unavailable",
    retryable: true,
    details: { mountId },
  });
}
