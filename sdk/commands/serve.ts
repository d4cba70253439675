/**
 * `flotilla serve`: an ephemeral app that follows its file.
 *
 * Each change of the file, or of what it imports, is a new ephemeral app. It takes new requests
 * at once, since the URL with `~dev` leads to the newest; the one before is stopped when nothing
 * runs in it any more. A change that does not compile changes nothing. Ctrl-C stops all of them.
 */
import { resolve } from "node:path";
import { Client } from "../client/client.ts";
import { pause } from "../client/pause.ts";
import { UsageError } from "../errors.ts";
import type { Deployment } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { prepareFile, sendApps, type PreparedFile } from "./deploy-code.ts";
import { plainSteps } from "./live/live-steps.ts";
import { followApp, type Following } from "./follow-app.ts";
import { interruption } from "./interruption.ts";
import { lostLease } from "./lost-lease.ts";
import { reportError } from "./report-error.ts";
import { nextChange } from "./source-watch.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

export interface ServeOptions {
  readonly json?: boolean;
  /** Leave control sequences in what functions print. */
  readonly raw?: boolean;
  /** Show no progress, only what functions print, and URLs. */
  readonly quiet?: boolean;
}

/** How often it is looked whether anything still runs in an app that was followed by another. */
const LOOK_MS = 1_000;
/** Looks in a row that must find nothing: an input may be between its queue and a container. */
const QUIET_LOOKS = 3;

/** One state of the file on the platform. */
interface Served {
  readonly prepared: PreparedFile;
  readonly deployments: readonly Deployment[];
  readonly shown: readonly Following[];
  /** Rejects when the server has stopped one of its apps. */
  readonly lost: Promise<never>;
  /** Ends the heartbeats. */
  readonly ending: AbortController;
}

/** Serves the apps of a file until ctrl-C. @throws InterruptedError then, and UsageError */
export async function serveFile(path: string, options: ServeOptions): Promise<void> {
  const client = new Client();
  const server = new FileServer(resolve(path), client, options);
  const interrupted = interruption({ doing: "Stopping the app", done: "the app was stopped" });
  try {
    await server.begin();
    for (;;) await Promise.race([interrupted, server.follow()]);
  } finally {
    await server.close();
  }
}

class FileServer {
  readonly #path: string;
  readonly #client: Client;
  readonly #admin: AdminClient;
  readonly #options: ServeOptions;
  readonly #closing = new AbortController();
  /** Apps that others have followed, until nothing runs in them. */
  readonly #retiring = new Map<Served, Promise<void>>();
  #served: Served | undefined;
  /** When the file was last read. */
  #readAtMs = 0;

  constructor(path: string, client: Client, options: ServeOptions) {
    this.#path = path;
    this.#client = client;
    this.#admin = new AdminClient(client);
    this.#options = options;
  }

  async begin(): Promise<void> {
    this.#served = await this.#deploy(await this.#prepare());
  }

  /** Waits for the next change and takes it over. @throws FlotillaError when the app is gone */
  async follow(): Promise<void> {
    const served = this.#served;
    if (served === undefined) return;
    const over = new AbortController();
    const { sources } = served.prepared.bundle;
    const signal = AbortSignal.any([this.#closing.signal, over.signal]);
    try {
      await Promise.race([
        nextChange([this.#path, ...sources], { sinceMs: this.#readAtMs, signal }),
        served.lost,
      ]);
    } finally {
      over.abort();
    }
    if (this.#closing.signal.aborted) return;
    try {
      const prepared = await this.#prepare();
      if (prepared.bundle.sha256 === served.prepared.bundle.sha256) return;
      this.#served = await this.#deploy(prepared);
    } catch (error) {
      reportError(error);
      printProgress("What was served before still is.");
      return;
    }
    this.#retiring.set(served, this.#retire(served));
  }

  /** Stops every app, and shows what they still print. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#retiring.values());
    if (this.#served !== undefined) await this.#stop(this.#served);
  }

  async #prepare(): Promise<PreparedFile> {
    this.#readAtMs = Date.now();
    return prepareFile(this.#path, this.#progress);
  }

  readonly #progress = (line: string): void => {
    if (this.#options.quiet !== true) printProgress(line);
  };

  async #deploy(prepared: PreparedFile): Promise<Served> {
    const { bundle, module, python } = prepared;
    const { apps } = module;
    const deployments = await sendApps({
      admin: this.#admin,
      bundle,
      python,
      apps,
      mode: "ephemeral",
      steps: plainSteps(this.#progress),
    });
    if (deployments.length === 0) throw new UsageError(`${this.#path} has no function to serve`);
    const ending = new AbortController();
    const leases = deployments.map((each) => lostLease(this.#admin, each, ending.signal));
    const lost = Promise.race(leases);
    // Heard of at the next change, or never: then the app is stopped already.
    lost.catch(() => undefined);
    const client = this.#client;
    const shown = deployments.map(({ appId }) => followApp({ client, appId, ...this.#options }));
    await this.#tell(deployments);
    return { prepared, deployments, shown, lost, ending };
  }

  async #tell(deployments: readonly Deployment[]): Promise<void> {
    const { serverUrl } = await this.#client.transport.connection();
    const urls = deployments.flatMap(({ functions }) =>
      functions.flatMap(({ webPath }) => (webPath === undefined ? [] : [serverUrl + webPath])),
    );
    if (this.#options.json === true) printJson({ deployments, urls });
    else for (const url of urls) printData(url);
    this.#progress("Serving; ctrl-C takes the app away");
  }

  /** Stops an app once nothing runs in it, or when the command ends. */
  async #retire(served: Served): Promise<void> {
    const ids = new Set(
      served.deployments.flatMap(({ functions }) => functions.map((each) => each.functionId)),
    );
    let quiet = 0;
    while (quiet < QUIET_LOOKS && !this.#closing.signal.aborted) {
      await pause(LOOK_MS, this.#closing.signal);
      // A server that is away for a moment says nothing about what runs.
      const containers = await this.#admin.containers().catch(() => undefined);
      const isBusy = containers?.some(
        ({ functionId, state }) =>
          ids.has(functionId) && (state === "busy" || state === "starting"),
      );
      quiet = isBusy === false ? quiet + 1 : 0;
    }
    await this.#stop(served);
    this.#retiring.delete(served);
  }

  async #stop({ deployments, shown, ending }: Served): Promise<void> {
    ending.abort();
    await Promise.allSettled(deployments.map(({ appId }) => this.#admin.stopApp(appId)));
    await Promise.all(shown.map((following) => following.finish()));
  }
}
