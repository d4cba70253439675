/**
 * A real agent with gVisor under it and a server in the hands of a test: hostile code runs in it
 * as a function's does, and its neighbours are asked whether they still answer.
 */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assert, type Resources } from "../../core/index.ts";
import { decodeValue, encodeValue, splitBody } from "../../sdk/protocol/index.ts";
import { NodeAgent } from "../agent/agent.ts";
import type { AgentResult, ContainerExit, StartContainer } from "../agent/link.ts";
import { parseRanges } from "../egress/egress-gate.ts";
import type { AuditEntry } from "../egress/egress-proxy.ts";
import { withEgress } from "../egress/with-egress.ts";
import { FakeServer, type FakeLink } from "../fake/server.ts";
import { prepareBaseImage } from "../images/base-image.ts";
import { NO_IMAGES } from "../images/node-images.ts";
import { bundleRunner } from "../runners/bundle-runner.ts";
import { HOOK } from "../runners/node/sdk-hook.ts";
import { removeCgroup } from "../runtime/cgroups.ts";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import { tracesOf } from "../runtime/traces.ts";

/** Long enough for a machine that is busy with other tests. */
const ANSWER_MS_MAX = 60_000;
const POLL_MS = 10;

export interface Answer extends AgentResult {
  readonly value: unknown;
}

/** A container whose code is a test's. */
export class TestContainer {
  readonly containerId: string;
  readonly #node: TestNode;
  #inputs = 0;

  constructor(containerId: string, node: TestNode) {
    this.containerId = containerId;
    this.#node = node;
  }

  /** Hands over one input and does not wait; gives its name. */
  give(...args: readonly unknown[]): string {
    this.#inputs += 1;
    const inputId = `${this.containerId}-${this.#inputs}`;
    const payload = encodeValue(args, "arguments");
    const inputs = [{ inputId, bytes: payload.byteLength }];
    this.#node.link.say({ type: "inputs", containerId: this.containerId, inputs }, payload);
    return inputId;
  }

  /** The value that the function gives. @throws Error when it fails */
  async call(...args: readonly unknown[]): Promise<unknown> {
    const { outcome, error, value } = await this.#node.answerTo(this.give(...args));
    if (outcome === "succeeded") return value;
    throw new Error(`${error?.name ?? outcome}: ${error?.message ?? "no message"}`);
  }

  stop(): void {
    this.#node.link.say({ type: "stop", containerId: this.containerId, graceMs: 0 });
  }

  async exit(): Promise<ContainerExit> {
    return this.#node.find("its end", () =>
      this.#node.link
        .all("exited")
        .map(({ exit }) => exit)
        .find(({ containerId }) => containerId === this.containerId),
    );
  }

  /** Bytes of all its lines, and whether one of them says that some were dropped. */
  get logged(): { readonly bytes: number; readonly tellsOfDropped: boolean } {
    const texts = this.#node.link
      .all("logs")
      .filter(({ containerId }) => containerId === this.containerId)
      .flatMap(({ lines }) => lines.map(({ text }) => text));
    return {
      bytes: texts.reduce((sum, text) => sum + text.length + 1, 0),
      tellsOfDropped: texts.some((text) => text.includes("of output dropped")),
    };
  }

  /** What is left of it on the machine. */
  get traces(): readonly string[] {
    return tracesOf(this.#node.dir, this.containerId, this.#node.cgroupOf(this.containerId));
  }
}

export class TestNode {
  readonly dir: string;
  readonly link: FakeLink;
  readonly errors: string[];
  /** Connections of its containers that have ended. */
  readonly audit: AuditEntry[];
  readonly #server: FakeServer;
  readonly #agent: NodeAgent;
  readonly #running: Promise<void>;
  readonly #cgroupParent: string;
  #count = 0;

  private constructor(
    made: Pick<TestNode, "dir" | "link" | "errors" | "audit">,
    own: {
      readonly server: FakeServer;
      readonly agent: NodeAgent;
      readonly running: Promise<void>;
      readonly cgroupParent: string;
    },
  ) {
    this.dir = made.dir;
    this.link = made.link;
    this.errors = made.errors;
    this.audit = made.audit;
    this.#server = own.server;
    this.#agent = own.agent;
    this.#running = own.running;
    this.#cgroupParent = own.cgroupParent;
  }

  /** @param settings Special ranges that containers may reach where they are allowed. */
  static async open(settings: { readonly openRanges?: readonly string[] } = {}): Promise<TestNode> {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-attacks-"));
    const server = await FakeServer.open();
    const cgroupParent = `/flotilla/attacks-${process.pid}`;
    const clock = { nowMs: () => Date.now(), sleep: (ms: number) => sleep(ms) };
    const gvisor = createGvisorRuntime({
      dir,
      rootfs: await prepareBaseImage(join(dir, "images")),
      runnerDir: await bundleRunner(join(dir, "runners")),
      cgroupParent,
    });
    const audit: AuditEntry[] = [];
    const openRanges = parseRanges(settings.openRanges ?? []);
    const runtime = withEgress(gvisor, {
      dir: join(dir, "egress"),
      clock,
      onAudit: (entry) => audit.push(entry),
      ...(openRanges === undefined ? {} : { openRanges }),
    });
    const errors: string[] = [];
    const agent = new NodeAgent({
      serverUrl: server.url,
      token: "join",
      seed: "attacks",
      codeDir: join(dir, "code"),
      resources: { gpuCount: 0, cpuMilli: 16_000, memoryMiB: 16_384 },
      emulatedGpus: false,
      isolation: "gvisor",
      // gVisor can do without images what needs no image.
      images: { ...NO_IMAGES, refusalOf: () => undefined },
      runtime,
      clock,
      onError: (_, doing) => errors.push(doing),
      onDismissed: (reason) => errors.push(reason),
    });
    const running = agent.run();
    const link = await server.link(0);
    link.say({ type: "welcome", nodeId: "no_1", sessionToken: "session" });
    await link.hear("hello");
    return new TestNode({ dir, link, errors, audit }, { server, agent, running, cgroupParent });
  }

  async close(): Promise<void> {
    await this.#agent.close();
    await this.#running;
    this.#server.close();
    await removeCgroup(this.#cgroupParent);
    await rm(this.dir, { recursive: true });
  }

  cgroupOf(containerId: string): string {
    return `${this.#cgroupParent}/${containerId}`;
  }

  /** Starts a container whose module exports `run`, and waits until it is loaded. */
  async start(source: string, changes: Partial<StartContainer> = {}): Promise<TestContainer> {
    const code = Buffer.from(HOOK + source);
    const codeSha256 = createHash("sha256").update(code).digest("hex");
    this.#server.blobs.set(codeSha256, code);
    this.#count += 1;
    const containerId = `co_attack${this.#count}`;
    const resources: Resources = { gpuCount: 0, cpuMilli: 500, memoryMiB: 256 };
    const container: StartContainer = {
      containerId,
      functionId: "fn_1",
      functionName: "run",
      appName: "attacks",
      codeSha256,
      resources,
      env: {},
      startupTimeoutMs: ANSWER_MS_MAX,
      timeoutMs: ANSWER_MS_MAX,
      ...changes,
    };
    this.link.say({ type: "start", container });
    await this.find("a start", () => {
      const exit = this.link.all("exited").find((one) => one.exit.containerId === containerId);
      assert(exit === undefined, `${containerId} ended: ${exit?.exit.message ?? ""}`);
      return this.link.all("ready").find((one) => one.containerId === containerId);
    });
    return new TestContainer(containerId, this);
  }

  async answerTo(inputId: string): Promise<Answer> {
    return this.find(`an answer to ${inputId}`, () => {
      for (const { message, body } of this.link.heard) {
        if (message.type !== "results") continue;
        const at = message.results.findIndex((result) => result.inputId === inputId);
        const result = message.results[at];
        if (result === undefined) continue;
        const piece = splitBody(
          body,
          message.results.map(({ bytes }) => bytes),
        )[at];
        const isValue = result.outcome === "succeeded" && piece !== undefined;
        return { ...result, value: isValue ? decodeValue(piece) : undefined };
      }
      return undefined;
    });
  }

  /** Waits until there is something. @throws Error when it takes too long */
  async find<Thing>(what: string, look: () => Thing | undefined): Promise<Thing> {
    for (let waitedMs = 0; waitedMs < ANSWER_MS_MAX; waitedMs += POLL_MS) {
      const found = look();
      if (found !== undefined) return found;
      await sleep(POLL_MS);
    }
    throw new Error(`waited in vain for ${what}`);
  }
}
