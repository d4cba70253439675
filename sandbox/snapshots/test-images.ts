/** Images of memory that are pretended: files that a test makes and restores in its own way. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FakeSandbox } from "../fake/runtime.ts";
import type { ImageTraits, MemoryImages, SandboxSpec } from "../runtime/runtime.ts";

export const IMAGE_BYTES = 200_000;

/** What a pretended restore does, in the order of restores; the last one stays. */
export type Restored = "answers" | "ends" | "says nothing" | "talks nonsense" | "cannot start";

export class TestImages {
  readonly restored: FakeSandbox[] = [];
  readonly restores: { readonly spec: SandboxSpec; readonly bytes: Uint8Array }[] = [];
  readonly saved: string[] = [];
  outcomes: readonly Restored[] = ["answers"];
  /** Ends the sandbox whose memory is saved, as runsc does. */
  endOf: (containerId: string) => void = () => undefined;
  bytes: Uint8Array = Buffer.alloc(IMAGE_BYTES, "memory");
  fingerprint = "runsc 1";
  traits: Omit<ImageTraits, "fingerprint"> = { restoredAreDeaf: true };
  failure: Error | undefined;
  slowBecause: string | undefined;

  get images(): MemoryImages {
    return {
      kind: "supported",
      probe: () => Promise.resolve({ ...this.traits, fingerprint: this.fingerprint }),
      save: async ({ containerId }, imageDir) => {
        if (this.failure !== undefined) throw this.failure;
        await mkdir(imageDir, { recursive: true });
        await writeFile(join(imageDir, "checkpoint.img"), this.bytes);
        await writeFile(join(imageDir, "empty"), "");
        this.saved.push(containerId);
        this.endOf(containerId);
        return this.slowBecause === undefined ? {} : { slowBecause: this.slowBecause };
      },
      restore: async (spec, imageDir) => {
        this.restores.push({ spec, bytes: await readFile(join(imageDir, "checkpoint.img")) });
        return this.#restored(spec);
      },
    };
  }

  #restored(spec: SandboxSpec): FakeSandbox {
    const outcome = this.outcomes[this.restores.length - 1] ?? this.outcomes.at(-1);
    if (outcome === "cannot start") throw new Error("runsc is missing");
    const sandbox = new FakeSandbox(spec);
    this.restored.push(sandbox);
    if (outcome === "ends") sandbox.end({ exitCode: 128 });
    if (outcome === "talks nonsense") sandbox.sayBytes(Buffer.from("x".repeat(64)));
    if (outcome === "answers") {
      sandbox.say({ type: "entered" });
      sandbox.say({ type: "ready" });
    }
    return sandbox;
  }
}
