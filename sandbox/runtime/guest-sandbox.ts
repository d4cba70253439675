/** A started sandbox with the guest in it, as tests talk to it. */
import { createInterface } from "node:readline";
import type { RunningSandbox, SandboxExit } from "./runtime.ts";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class GuestSandbox {
  readonly containerId: string;
  readonly exited: Promise<SandboxExit>;
  readonly #sandbox: RunningSandbox;
  readonly #waiting: Waiting[] = [];
  readonly #answers: unknown[] = [];
  #isGone = false;
  stdout = "";
  stderr = "";

  constructor(containerId: string, sandbox: RunningSandbox) {
    this.containerId = containerId;
    this.exited = sandbox.exited;
    this.#sandbox = sandbox;
    sandbox.stdout.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    sandbox.stderr.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
    const lines = createInterface({ input: sandbox.channel });
    // Its end is told by `exited`.
    for (const ending of [sandbox.channel, lines]) ending.on("error", () => undefined);
    lines.on("line", (line) => {
      const { value } = JSON.parse(line) as { readonly value: unknown };
      const next = this.#waiting.shift();
      if (next === undefined) this.#answers.push(value);
      else next.resolve(value);
    });
    void sandbox.exited.then(() => {
      this.#isGone = true;
      for (const { reject } of this.#waiting.splice(0)) reject(this.#goneError());
    });
  }

  /** The next thing that the guest says. @throws Error when it ends before */
  async answer(): Promise<unknown> {
    if (this.#answers.length > 0) return this.#answers.shift();
    if (this.#isGone) throw this.#goneError();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Tells the guest to do something and gives its answer. @throws Error when it ends instead */
  async ask(command: string, value?: unknown): Promise<unknown> {
    this.#sandbox.channel.write(`${JSON.stringify({ command, value })}\n`);
    return this.answer();
  }

  kill(): void {
    this.#sandbox.kill();
  }

  /** Ends the channel and nothing else. */
  cut(): void {
    this.#sandbox.channel.destroy();
  }

  async end(): Promise<void> {
    if (!this.#isGone) this.kill();
    await this.exited;
  }

  #goneError(): Error {
    return new Error(`container ${this.containerId} ended: ${this.stderr}`);
  }
}
