/** Sandboxes: isolated machines for code that nobody has read, such as a model's. */
import { defaultClient, type Client } from "../client/client.ts";
import { NotFoundError, UsageError } from "../errors.ts";
import type { RequestOptions } from "../function-call.ts";
import { Image } from "../image.ts";
import type { FunctionSpec, NetworkPolicy } from "../protocol/spec.ts";
import type { ContainerCommitReport, ReloadReport } from "../protocol/volume.ts";
import { TUNNELS_MAX } from "../protocol/web.ts";
import type { Volume } from "../volume.ts";
import { checkVolumes, mountsOf } from "../volumes/check-volumes.ts";
import { commitIn, reloadIn } from "../volumes/in-container.ts";
import { checkPort } from "../web.ts";
import { sandboxProgramSource, type ProgramOptions } from "./program.ts";
import { checkTerminalSize } from "./terminal-size.ts";
import { SandboxFiles } from "./sandbox-files.ts";
import {
  newSandboxId,
  sandboxApps,
  sandboxEndsAtMs,
  SandboxLink,
  type SandboxTunnel,
} from "./sandbox-link.ts";
import { SandboxProcess } from "./sandbox-process.ts";

/** What a sandbox is made with. Everything has a default. */
export interface SandboxOptions extends Pick<
  FunctionSpec,
  "cpu" | "memoryMiB" | "diskMiB" | "gpu"
> {
  /** It ends after so long at the latest, 1 s to 24 h. Default 1 h. */
  readonly timeoutMs?: number;
  /** It ends when nobody has asked anything of it for so long, 2 s to 20 min. Default 5 min. */
  readonly idleTimeoutMs?: number;
  /** What it may reach; nothing unless given. */
  readonly network?: NetworkPolicy;
  /** Variables of all programs in it. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Folders that it shares with all others that have the volume, by their absolute paths, at most
   * 8: `{ "/data": Volume.fromName("models") }`.
   */
  readonly volumes?: Readonly<Record<string, Volume>>;
  /** What is on its disk; Node and small tools unless given. It is built first if it must be. */
  readonly image?: Image;
  /** Told how the building of the image goes, a line at a time. */
  readonly onProgress?: (line: string) => void;
  /** How to reach the server; by default as the environment says. */
  readonly client?: Client;
  /** Gives up the start when it aborts, and stops what was started; the sandbox has no more of it. */
  readonly signal?: AbortSignal;
}

/** How sandboxes are found. */
export interface FindSandboxOptions extends Pick<SandboxOptions, "client"> {
  /** Gives up looking when it aborts, with its reason. */
  readonly signal?: AbortSignal;
}

/** A sandbox as it is listed. */
export interface SandboxSummary {
  readonly sandboxId: string;
  /** 0 once it was idle for too long. */
  readonly containers: number;
  readonly createdAtMs: number;
  readonly endsAtMs: number;
}

const TIMEOUT_MS = 3_600_000;
const TIMEOUT_MS_MAX = 24 * 3_600_000;
const IDLE_TIMEOUT_MS = 300_000;
/** Longest request or connection through a tunnel, however short the sandbox lives. */
const INPUT_MS_MIN = 120_000;
const OPERATIONS_AT_ONCE = 1_000;
const STARTUP_MS_MAX = 600_000;

/**
 * An isolated machine for code that nobody has read. It ends when it is terminated, when its
 * time is over, or when nobody has asked anything of it for a while.
 */
export class Sandbox {
  readonly sandboxId: string;
  readonly files: SandboxFiles;
  readonly #link: SandboxLink;

  private constructor(link: SandboxLink) {
    this.sandboxId = link.sandboxId;
    this.files = new SandboxFiles(link);
    this.#link = link;
  }

  /**
   * Starts a sandbox: one container with no network, scheduled and paid for as a function's.
   *
   * @example
   * const sandbox = await Sandbox.create({ memoryMiB: 512 });
   * const { stdout } = await (await sandbox.exec(["node", "-p", "6 * 7"])).output();
   * await sandbox.terminate();
   * @throws UsageError, what a step of the image says last, or what the server refuses, such as
   *   more than a quota allows.
   */
  static async create(options: SandboxOptions = {}): Promise<Sandbox> {
    const { client = defaultClient(), image, volumes, onProgress, signal, ...described } = options;
    const { timeoutMs = TIMEOUT_MS, idleTimeoutMs = IDLE_TIMEOUT_MS, ...rest } = described;
    if (!(timeoutMs >= 1_000 && timeoutMs <= TIMEOUT_MS_MAX)) {
      throw new UsageError(`timeoutMs must be 1 s to 24 h in ms, got ${timeoutMs}`);
    }
    const shared = volumes === undefined ? {} : { volumes: checkedMounts(volumes) };
    signal?.throwIfAborted();
    const built =
      image === undefined ? {} : { image: await build(image, { client, onProgress, signal }) };
    // The time of its start is its own: waiting for a machine takes nothing of it.
    const sandboxId = newSandboxId(Date.now() + timeoutMs + STARTUP_MS_MAX);
    const link = new SandboxLink(sandboxId, { client, signal });
    try {
      await link.deploy(new TextEncoder().encode(sandboxProgramSource()), {
        ...rest,
        ...built,
        ...shared,
        timeoutMs: Math.max(INPUT_MS_MIN, timeoutMs),
        startupTimeoutMs: STARTUP_MS_MAX,
        scaledownWindowMs: idleTimeoutMs,
        maxContainers: 1,
        maxConcurrentInputs: OPERATIONS_AT_ONCE,
        preemptible: false,
        web: { tunnels: true },
      });
      await link.open(true, timeoutMs);
    } catch (error) {
      await link.tidy((tidying) => tidying.stop());
      throw error;
    }
    return new Sandbox(link.until(undefined));
  }

  /** Finds a sandbox that runs, from any process. @throws NotFoundError, SandboxEndedError */
  static async fromId(
    sandboxId: string,
    { client = defaultClient(), signal }: FindSandboxOptions = {},
  ): Promise<Sandbox> {
    if (sandboxEndsAtMs(sandboxId) === undefined) {
      throw new NotFoundError(`"${sandboxId}" is no sandbox`, "see `flotilla sandbox list`");
    }
    const link = new SandboxLink(sandboxId, { client, signal });
    await link.open(false, 0);
    return new Sandbox(link.until(undefined));
  }

  /** The sandboxes that were not terminated and have time left. */
  static async list({ client = defaultClient(), signal }: FindSandboxOptions = {}): Promise<
    readonly SandboxSummary[]
  > {
    const apps = await sandboxApps(client.until(signal));
    return apps.map(({ app, containers, createdAtMs }) => {
      return { sandboxId: app, containers, createdAtMs, endsAtMs: sandboxEndsAtMs(app) ?? 0 };
    });
  }

  /**
   * The same sandbox, of which everything that is asked ends when the signal aborts, with its
   * reason: `exec`, `files`, `tunnels`, `terminate`, and what is asked of programs that are
   * started so. The sandbox and its programs go on.
   *
   * @example
   * const text = await sandbox.with({ signal }).files.readText("/tmp/answer");
   */
  with({ signal }: RequestOptions): Sandbox {
    return new Sandbox(this.#link.until(signal));
  }

  /**
   * Starts a program; it runs on while nobody waits for it.
   *
   * @param command The program and its arguments; no shell reads them.
   * @throws RemoteError when there is no such program or folder, SandboxEndedError.
   */
  async exec(command: readonly string[], options: ProgramOptions = {}): Promise<SandboxProcess> {
    if (command.length === 0) throw new UsageError("exec needs a program and its arguments");
    if (options.pty !== undefined) checkTerminalSize(options.pty);
    const id = crypto.randomUUID();
    await this.#link.ask("start", id, command, options);
    return new SandboxProcess(this.#link, id);
  }

  /**
   * URLs at which servers in it are asked from outside, by HTTP and WebSockets: what listens on
   * these ports at 127.0.0.1, now or later. They cannot be guessed, and end with the sandbox.
   *
   * @example
   * const [site] = await sandbox.tunnels(8080);
   * const page = await fetch(`${site.url}/index.html`);
   * @throws UsageError, SandboxEndedError
   */
  async tunnels<const Ports extends readonly number[]>(
    ...ports: Ports
  ): Promise<{ readonly [Index in keyof Ports]: SandboxTunnel }> {
    for (const port of ports) checkPort(port);
    const isRight = ports.length >= 1 && ports.length <= TUNNELS_MAX;
    if (!isRight) throw new UsageError(`tunnels takes 1 to ${TUNNELS_MAX} ports`);
    // In the order of the ports, one for each.
    return (await this.#link.tunnels(ports)) as { [Index in keyof Ports]: SandboxTunnel };
  }

  /**
   * Makes an image of what it began with and all that was written to its root since, but for
   * `/tmp` and other mounts; what runs in it goes on. Files are as they are when they are read:
   * what belongs together should not be written meanwhile. The image stays until it is deleted.
   *
   * @example
   * const image = await sandbox.snapshotFilesystem();
   * const other = await Sandbox.create({ image });
   * @throws RequestError when it has no `image` or no `diskMiB`, or holds more than an image may
   *   have; SandboxEndedError
   */
  async snapshotFilesystem(options: Pick<SandboxOptions, "onProgress"> = {}): Promise<Image> {
    return Image.fromId(await this.#link.imageOfFiles(options.onProgress));
  }

  /**
   * Makes what its programs changed in a volume the next version, all of it or nothing. Changes of
   * other paths by others stay; of one path the last writer wins, and is told what it overwrote.
   *
   * @throws RequestError `conflict` naming files that are being written, NotFoundError when it has
   *   no such volume, SandboxEndedError
   */
  async commit({ name }: Volume): Promise<ContainerCommitReport> {
    return commitIn(this.#link.volumes, name);
  }

  /**
   * Commits a volume, and brings what others committed into the sandbox.
   *
   * @throws RequestError `conflict` when a program of the sandbox has a file of it open
   */
  async reload({ name }: Volume): Promise<ReloadReport> {
    return reloadIn(this.#link.volumes, name);
  }

  /** Ends it with all its programs and files; what changed in its volumes is committed then. */
  async terminate(): Promise<void> {
    await this.#link.stop();
  }
}

/** @throws UsageError naming what is wrong with them */
function checkedMounts(volumes: Readonly<Record<string, Volume>>) {
  const problem = checkVolumes(volumes);
  if (problem !== undefined) throw new UsageError(`volumes ${problem}`);
  return mountsOf(volumes);
}

/** Builds an image, or finds it built; gives its id. What does so is loaded only then. */
async function build(
  { recipe }: Image,
  how: {
    readonly client: Client;
    readonly onProgress: ((line: string) => void) | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<string> {
  const { client, onProgress: progress = () => undefined, signal } = how;
  const [{ AdminClient }, { buildImage }, { plainSteps }] = await Promise.all([
    import("../commands/admin-client.ts"),
    import("../commands/images/build-image.ts"),
    import("../commands/live/live-steps.ts"),
  ]);
  const options = { admin: new AdminClient(client.until(signal)), steps: plainSteps(progress) };
  try {
    return (await buildImage(recipe, options)).imageId;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
