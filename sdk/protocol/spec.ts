/** What a function asks for, as the user writes it and as it travels. */

import type { SecretRef } from "./secret.ts";
import type { Schedule } from "./schedule.ts";
import type { VolumeMount } from "./volume.ts";
import type { WebSpec } from "./web.ts";

/** GPU types a function may ask for. */
export type GpuType =
  | "T4"
  | "L4"
  | "A10"
  | "V100"
  | "L40S"
  | "A100-40GB"
  | "A100-80GB"
  | "RTX-PRO-6000"
  | "H100"
  | "H200"
  | "B200"
  | "B300";

type GpuCount = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** One choice: a type, or a type and how many of it on one machine. */
export type GpuChoice = GpuType | `${GpuType}:${GpuCount}`;

/**
 * What a container may reach: nothing (the default, in two spellings), or the hosts of a list.
 *
 * A host is a name (`api.example.com`), all names below one (`*.example.com`), an address, or `*`
 * for every public host; with a port (`db.example.com:5432`) or without, which means 80 and 443.
 * Private networks, cloud metadata services and the machine itself are never reached.
 */
export type NetworkPolicy =
  | { readonly egress: "none" }
  | { readonly block: true }
  | { readonly allowHosts: readonly string[] };

/** Where the code of a Python function is. */
export interface PythonCode {
  /** SHA-256 (hex) of the uploaded archive of its files. */
  readonly codeSha256: string;
  /** The module, as it is imported: `model`, or `package.part`. */
  readonly module: string;
  /** A function in it, or a class and its method: `Model.predict`. */
  readonly handler: string;
  /** What inputs that run at once run in. Default `threads`. */
  readonly workers?: "threads" | "processes";
}

/** How an input that failed is tried again; what is left out has its default. */
export interface RetryPolicy {
  /** Tries after the first, 0 to 10. */
  readonly count: number;
  /** Wait before the first retry, 0 to 60 s. Default 1 s. */
  readonly initialDelayMs?: number;
  /** Each wait is the one before times this, 1 to 10. Default 2. */
  readonly backoff?: number;
  /** Longest wait, 1 to 60 s. Default 60 s. */
  readonly maxDelayMs?: number;
}

/** How inputs of many calls run as one call of the code. */
export interface Batching {
  /** Inputs of one batch, 1 to 1,000. */
  readonly maxBatchSize: number;
  /** How long the first input of a batch waits for others, 0 to 600,000 ms; below `timeoutMs`. */
  readonly waitMs: number;
}

/** What is reserved for a container, and what it may use while its machine has that free. */
export interface RequestAndLimit {
  readonly request: number;
  /** Not below `request`. */
  readonly limit: number;
}

/** The options of a function. Everything has a default. */
export interface FunctionSpec {
  /** Name under which the function is deployed; by default the name of its export. */
  readonly name?: string;
  /**
   * GPU type, count, or a list in order of preference (all with the same count). A later choice
   * is taken when the earlier ones are not to be had or cost more than a little more: 2 % a step.
   */
  readonly gpu?: GpuChoice | readonly GpuChoice[];
  /**
   * Virtual cores reserved, 0.1 to 64; idle ones of the machine may be used too, up to 2 or up to
   * the limit that is given. Default 0.125.
   */
  readonly cpu?: number | RequestAndLimit;
  /**
   * MiB of memory, 64 to 524,288: reserved, and the most that may be used unless a limit is given.
   * What holds more than it reserves is ended first when its machine runs short. Default 256.
   */
  readonly memoryMiB?: number | RequestAndLimit;
  /**
   * MiB that a container may write outside `/tmp`, anywhere in its root, on a disk of its own, 16
   * to 1,048,576; what it wrote goes with it. Not with `enableMemorySnapshot`. Default: the root is
   * read-only.
   */
  readonly diskMiB?: number;
  /** Longest run of one input, 1 s to 24 h. Default 300 s. */
  readonly timeoutMs?: number;
  /**
   * How often an input that failed is tried again: a number of tries, or a rule. For what the
   * function throws, its time limit, out of memory and exits; not for what cannot be sent.
   * Default 0. Inputs that lose their container are run again in any case.
   */
  readonly retries?: number | RetryPolicy;
  /** Longest start of a container, 1 s to 24 h. Default: `timeoutMs`. */
  readonly startupTimeoutMs?: number;
  /** How long an idle container is kept, 2 s to 20 min. Default 60 s. */
  readonly scaledownWindowMs?: number;
  /** Containers kept even when idle, 0 to 4,000. Default 0. */
  readonly minContainers?: number;
  /** Most containers at once, 1 to 4,000. Default 100. */
  readonly maxContainers?: number;
  /** Extra idle containers while active, 0 to 4,000. Default 0. */
  readonly bufferContainers?: number;
  /**
   * Inputs that one container may run at once, 1 to 1,000. Default 1. Asynchronous functions
   * interleave: while one input waits, another runs. An error or exit that takes the container
   * down ends the others too; they run again.
   */
  readonly maxConcurrentInputs?: number;
  /**
   * Inputs per container that scaling aims at, 1 to `maxConcurrentInputs`, which is the default.
   * Containers take more, up to the maximum, while there are too few of them.
   */
  readonly targetConcurrentInputs?: number;
  /**
   * Inputs of many calls run together: the code takes one list per argument and returns a list
   * with a result for each input. Instead of `maxConcurrentInputs`; for functions of TypeScript.
   */
  readonly batched?: Batching;
  /**
   * A container runs one input and ends: nothing that an input leaves behind is there for another.
   * Every input pays for a start. Default false.
   */
  readonly singleUse?: boolean;
  /** Regions the function may run in. Default: any. */
  readonly regions?: readonly string[];
  /** Clouds the function may run on. Default: any. */
  readonly clouds?: readonly ("aws" | "gcp" | "azure" | "local")[];
  /**
   * Whether its containers may be ended while they work: by a provider that takes its machine
   * back, or for a more important function. The inputs run again. Default true.
   */
  readonly preemptible?: boolean;
  /**
   * How important it is among the functions of its workspace, -100 to 100. Default 0. While
   * machines are scarce the more important go first, and end containers of less important ones
   * that are `preemptible`; inputs that ran there run again elsewhere.
   */
  readonly priority?: number;
  /**
   * Names and values by which `flotilla usage --by tag:NAME` tells costs apart, at most 16; names
   * and values have 1 to 64 characters.
   */
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * Whether later containers may start from the memory of an earlier one, as it was once the
   * module was loaded. The module then loads without environment variables and without network;
   * code that needs them reads them when it is called. Default false. docs/snapshots.md.
   */
  readonly enableMemorySnapshot?: boolean;
  readonly network?: NetworkPolicy;
  /**
   * The id of a built image (64 hexadecimal digits). Default: Node and nothing else. In code it is
   * an `Image`, which `flotilla run` and `flotilla deploy` build first.
   */
  readonly image?: string;
  /**
   * Secrets whose values become variables of the container, 1 to 16; of two with one variable the
   * later's is taken, and `env` goes before both.
   */
  readonly secrets?: readonly SecretRef[];
  /**
   * Folders that its containers share with others, 1 to 8. In code it is an object of paths and
   * Volumes.
   */
  readonly volumes?: readonly VolumeMount[];
  /** Environment variables of the container. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * When the platform calls it by itself, without arguments, while its app is deployed. Default:
   * never.
   */
  readonly schedule?: Schedule;
  /** Present when it has a URL: filled in by `app.webEndpoint` and `app.webServer`. */
  readonly web?: WebSpec;
  /** Filled in when a function with `runtime: "python"` is deployed, and not by hand. */
  readonly python?: PythonCode;
}

/**
 * What a call may ask otherwise than the deployed spec: all but name, image, secrets, volumes,
 * schedule, URL and batching.
 */
export type FunctionOptions = Omit<
  FunctionSpec,
  "name" | "image" | "secrets" | "volumes" | "schedule" | "web" | "batched"
>;
