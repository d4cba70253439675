/** How a sandbox is told things: each is a call of the function that it is. */
import type { Client } from "../client/client.ts";
import { inPassing } from "../client/in-passing.ts";
import type { Transport } from "../client/transport.ts";
import { CallTarget } from "../call-target.ts";
import { FlotillaError, NotFoundError } from "../errors.ts";
import { RemoteFunction } from "../function.ts";
import type { AppList, AppSummary, Deployment, DeployRequest } from "../protocol/api.ts";
import type { TunnelList, TunnelRequest } from "../protocol/web.ts";
import { RemoteError } from "../remote-error.ts";
import type { VolumesContainer } from "../volumes/in-container.ts";
import { ENDED } from "./program.ts";

/** The name of the one function in a sandbox's app. */
export const SANDBOX_FUNCTION = "sandbox";
/** An app of this name is a sandbox; the first part says when it ends, in ms, in base 36. */
const SANDBOX_ID = /^sandbox-([0-9a-z]{8,9})-[0-9a-f]{12}$/;
const ID_BYTES = 6;
const STOP_RETRY_FOR_MS = 5_000;
/** Longest single operation; programs run as long as they like. */
const OPERATION_MS = 120_000;

/** A port of a sandbox that can be asked from outside. */
export interface SandboxTunnel {
  readonly port: number;
  /** Whoever knows it may ask the port; it ends with the sandbox. */
  readonly url: string;
}

/** The sandbox has ended: it was terminated, was idle or lived for too long, or its node died. */
export class SandboxEndedError extends FlotillaError {
  override readonly name = "SandboxEndedError";

  constructor(sandboxId: string) {
    super(`the sandbox ${sandboxId} has ended, and its files with it`, {
      code: "sandbox_ended",
      nextStep: "make a new one with Sandbox.create, with a longer timeoutMs or idleTimeoutMs",
    });
  }
}

/** A fresh id of a sandbox that ends at `endsAtMs`. */
export function newSandboxId(endsAtMs: number): string {
  const random = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  const digits = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `sandbox-${Math.round(endsAtMs).toString(36)}-${digits}`;
}

/** When a sandbox ends at the latest; undefined for what is no sandbox's id. */
export function sandboxEndsAtMs(sandboxId: string): number | undefined {
  const digits = SANDBOX_ID.exec(sandboxId)?.[1];
  return digits === undefined ? undefined : parseInt(digits, 36);
}

/** How a sandbox is reached. */
export interface SandboxLinkOptions {
  readonly client: Client;
  /** Ends what is asked when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

export class SandboxLink {
  readonly sandboxId: string;
  readonly #client: Client;
  readonly #signal: AbortSignal | undefined;
  readonly #function: RemoteFunction;
  #instance = "";

  constructor(sandboxId: string, { client, signal }: SandboxLinkOptions) {
    this.sandboxId = sandboxId;
    this.#client = client;
    this.#signal = signal;
    const binding = { name: SANDBOX_FUNCTION, functionId: undefined };
    const target = new CallTarget({ app: sandboxId, binding, client });
    this.#function = new RemoteFunction(target, signal === undefined ? {} : { signal });
  }

  /** The same sandbox, reached until the signal aborts; absent: without one. */
  until(signal: AbortSignal | undefined): SandboxLink {
    const link = new SandboxLink(this.sandboxId, { client: this.#client, signal });
    link.#instance = this.#instance;
    return link;
  }

  get #transport(): Transport {
    return this.#client.until(this.#signal).transport;
  }

  /** Deploys the program of a sandbox. */
  async deploy(code: Uint8Array<ArrayBuffer>, spec: DeployRequest["functions"][number]["spec"]) {
    const digest = await crypto.subtle.digest("SHA-256", code);
    const codeSha256 = Array.from(new Uint8Array(digest), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
    await this.#upload(codeSha256, code);
    const request: DeployRequest = {
      mode: "deployed",
      codeSha256,
      functions: [{ name: SANDBOX_FUNCTION, spec }],
    };
    await this.#transport.json<Deployment>({
      method: "POST",
      path: `/v1/apps/${this.sandboxId}/deployments`,
      body: JSON.stringify(request),
      contentType: "application/json",
    });
  }

  /** Finds the sandbox's container, or waits for its start. @throws SandboxEndedError */
  async open(isNew: boolean, lifetimeMs: number): Promise<void> {
    this.#instance = (await this.#ask(this.#function, "open", isNew, lifetimeMs)) as string;
  }

  /** One operation of its program. @throws what it throws, SandboxEndedError */
  async ask(operation: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#ask(this.#function.with({ deadlineMs: OPERATION_MS }), operation, ...args);
  }

  /** Its volumes; a commit may take as long as the sandbox lives. */
  get volumes(): VolumesContainer {
    return {
      what: "the sandbox",
      link: {
        request: async ({ method, path }) => {
          const answer = await this.#ask(this.#function, "askVolumes", method, path);
          // As the program above gives it.
          return answer as { readonly status: number; readonly body: Uint8Array };
        },
      },
      openFiles: async (folder) => (await this.ask("openFiles", folder)) as readonly string[],
    };
  }

  /** Where ports of it are asked. @throws SandboxEndedError */
  async tunnels(ports: readonly number[]): Promise<readonly SandboxTunnel[]> {
    const transport = this.#transport;
    const { serverUrl } = await transport.connection();
    try {
      const { tunnels } = await transport.json<TunnelList>({
        method: "POST",
        path: `/v1/apps/${this.sandboxId}/tunnels`,
        body: JSON.stringify({ ports } satisfies TunnelRequest),
        contentType: "application/json",
      });
      return tunnels.map(({ port, webPath }) => ({ port, url: serverUrl + webPath }));
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw error instanceof NotFoundError ? new SandboxEndedError(this.sandboxId) : error;
    }
  }

  /** Makes an image of what was written to its root; gives the image's id. */
  async imageOfFiles(progress: (line: string) => void = () => undefined): Promise<string> {
    // What does so is loaded only then.
    const [{ AdminClient }, { outcomeOf }, { plainSteps }] = await Promise.all([
      import("../commands/admin-client.ts"),
      import("../commands/images/build-image.ts"),
      import("../commands/live/live-steps.ts"),
    ]);
    try {
      const events = new AdminClient(this.#client.until(this.#signal)).imageOfSandbox(
        this.sandboxId,
      );
      return (await outcomeOf(events, plainSteps(progress))).imageId;
    } catch (error) {
      throw error instanceof NotFoundError ? new SandboxEndedError(this.sandboxId) : error;
    }
  }

  async #ask(
    target: RemoteFunction,
    operation: string,
    ...args: readonly unknown[]
  ): Promise<unknown> {
    try {
      return await target.remote(this.#instance, operation, ...args);
    } catch (error) {
      const hasEnded = error instanceof RemoteError && error.name === ENDED;
      throw hasEnded || error instanceof NotFoundError
        ? new SandboxEndedError(this.sandboxId)
        : error;
    }
  }

  /** Does what tidies up after an operation that has ended already; see `inPassing`. */
  async tidy(work: (link: SandboxLink) => Promise<unknown>): Promise<void> {
    await inPassing((limit) => work(this.until(limit)));
  }

  /** Ends it with all in it; one that has ended is no error. */
  async stop(): Promise<void> {
    try {
      await this.#transport.json<AppSummary>({
        method: "POST",
        path: `/v1/apps/${this.sandboxId}/stop`,
        retryForMs: STOP_RETRY_FOR_MS,
      });
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  async #upload(sha256: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const transport = this.#transport;
    const path = `/v1/blobs/${sha256}`;
    try {
      await transport.send({ method: "HEAD", path });
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      await transport.send({ method: "PUT", path, body, contentType: "application/octet-stream" });
    }
  }
}

/** The sandboxes that are there. */
export async function sandboxApps(client: Client): Promise<readonly AppSummary[]> {
  const { apps } = await client.transport.json<AppList>({ method: "GET", path: "/v1/apps" });
  return apps.filter(({ app, state }) => state === "running" && sandboxEndsAtMs(app) !== undefined);
}
