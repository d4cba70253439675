/** Everything that asks the platform for something ends with its signal, whatever the server does. */
import { getEventListeners } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { App } from "./app.ts";
import { RemoteClass } from "./class.ts";
import { Client } from "./client/client.ts";
import { CONTAINER_KEY } from "./current-input.ts";
import { withFakeServer } from "./fake/fake-server.ts";
import { FunctionCall } from "./function-call.ts";
import { RemoteFunction } from "./function.ts";
import { encodeFrame, encodeValue, type CallStatus } from "./protocol/index.ts";
import { SandboxFiles } from "./sandbox/sandbox-files.ts";
import { SandboxProcess } from "./sandbox/sandbox-process.ts";
import { Sandbox } from "./sandbox/sandbox.ts";
import { Volume } from "./volume.ts";
import { WebFunction } from "./web.ts";

/** What a server still says, by the start of `METHOD /path`; the first that fits, once. */
type Script = readonly (readonly [start: string, body: Uint8Array | string])[];

/** Says what its script has, and then takes every request and never answers. */
class SilentServer {
  /** Resolves when the first request that gets no answer has come. */
  readonly silence = Promise.withResolvers<undefined>();
  readonly #script: (readonly [string, Uint8Array | string])[];
  readonly #unanswered = new Set<ServerResponse>();
  readonly #server = createServer((request, response) => void this.#take(request, response));

  constructor(script: Script) {
    this.#script = [...script];
  }

  get unansweredCount(): number {
    return this.#unanswered.size;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on("error", () => undefined);
    await request.resume().toArray();
    const name = `${request.method ?? ""} ${request.url ?? ""}`;
    const at = this.#script.findIndex(([start]) => name.startsWith(start));
    if (at >= 0) {
      const [[, body] = ["", ""]] = this.#script.splice(at, 1);
      response.end(body);
      return;
    }
    this.#unanswered.add(response);
    response.once("close", () => this.#unanswered.delete(response));
    this.silence.resolve(undefined);
  }
}

const CALL_ID = "ca_0123456789abcdef0123456789";
const STATUS: CallStatus = {
  callId: CALL_ID,
  functionId: "fn_1",
  kind: "single",
  state: "running",
  inputCount: 1,
  finishedCount: 0,
  failedCount: 0,
  final: true,
  createdAtMs: 0,
};
const RUNNING = encodeFrame({ results: [], nextCursor: 0, status: STATUS }, []);
const FOUND = ["GET /v1/apps/", JSON.stringify({ functionId: "fn_1" })] as const;
const ACCEPTED = ["POST /v1/functions/fn_1/calls", RUNNING] as const;

function answered(value: unknown): Uint8Array {
  const payload = encodeValue(value);
  const result = {
    index: 0,
    outcome: "succeeded",
    bytes: payload.byteLength,
    attempts: 1,
    runMs: 1,
  };
  const status = { ...STATUS, state: "finished", finishedCount: 1 };
  return encodeFrame({ results: [result], nextCursor: 1, status }, [payload]);
}

interface Place {
  readonly client: Client;
  readonly signal: AbortSignal;
}
type Act = (place: Place) => Promise<unknown>;

const dir = mkdtempSync(join(tmpdir(), "flotilla-signals-"));
writeFileSync(join(dir, "file"), "text");
afterAll(() => rmSync(dir, { recursive: true }));

let appCount = 0;
const newApp = (client: Client): App => new App(`signals-${(appCount += 1)}`, { client });
const functionOf = ({ client, signal }: Place): RemoteFunction<[number], number> =>
  newApp(client)
    .function({ name: "f" }, (x: number) => x)
    .with({ signal });
class Model {
  ask(): number {
    return 1;
  }
}
const callOf = ({ client }: Place): FunctionCall => FunctionCall.fromId(CALL_ID, { client });
const volumeOf = ({ client }: Place): Volume => Volume.fromName("v", { client });

async function drained(values: AsyncIterable<unknown, unknown>): Promise<void> {
  const iterator = values[Symbol.asyncIterator]();
  for (let step = await iterator.next(); step.done !== true;) step = await iterator.next();
}

const SANDBOX_ID = `sandbox-${(4e12).toString(36)}-0123456789ab`;
const OPENED = [FOUND, ["POST /v1/functions/fn_1/calls", answered("instance")]] as const;
const STARTED = [...OPENED, FOUND, ["POST /v1/functions/fn_1/calls", answered(undefined)]] as const;

/** Found before the signal counts. */
async function sandboxOf({ client, signal }: Place): Promise<Sandbox> {
  return (await Sandbox.fromId(SANDBOX_ID, { client })).with({ signal });
}
const inFiles =
  (act: (files: SandboxFiles) => Promise<unknown>): Act =>
  async (place) =>
    act((await sandboxOf(place)).files);
const inProcess =
  (act: (program: SandboxProcess) => Promise<unknown>): Act =>
  async (place) => {
    const sandbox = await Sandbox.fromId(SANDBOX_ID, { client: place.client });
    return act((await sandbox.exec(["cat"])).with(place));
  };

async function* twoItems(): AsyncGenerator<number> {
  yield 1;
  // So that the second goes by itself, after the first.
  await new Promise((resolve) => setTimeout(resolve, 100));
  yield 2;
}

/** By class and method; a second word says how far the server comes. */
const ACTS: Readonly<Record<string, readonly [act: Act, script?: Script]>> = {
  "App.lookup": [({ client, signal }) => App.lookup("a", "f", { client, signal })],
  "App.lookupClass": [({ client, signal }) => App.lookupClass("a", "f", { client, signal })],
  "Client.lookupFunction": [({ client, signal }) => client.lookupFunction("a", "f", signal)],
  "Client.openVariant": [
    ({ client, signal }) =>
      client.openVariant("fn", { options: {}, paramsBytes: 0 }, undefined, signal),
  ],
  "Client.scaleFunction": [({ client, signal }) => client.scaleFunction("fn", {}, signal)],
  "Client.createCall": [
    ({ client, signal }) => {
      const header = {
        callId: CALL_ID,
        kind: "single",
        sizes: [],
        final: true,
        waitMs: 0,
      } as const;
      return client.createCall("fn", header, [], signal);
    },
  ],
  "Client.appendInputs": [
    ({ client, signal }) => {
      return client.appendInputs(CALL_ID, { startIndex: 0, sizes: [], final: true }, [], signal);
    },
  ],
  "Client.callStatus": [({ client, signal }) => client.callStatus(CALL_ID, signal)],
  "Client.results": [
    ({ client, signal }) => client.results(CALL_ID, { cursor: 0, limit: 1, waitMs: 9 }, signal),
  ],
  "Client.values": [
    ({ client, signal }) => client.values(CALL_ID, { cursor: 0, limit: 1, waitMs: 9 }, signal),
  ],
  "Client.cancelCall": [({ client, signal }) => client.cancelCall(CALL_ID, signal)],
  "Client.until": [({ client, signal }) => client.until(signal).callStatus(CALL_ID)],
  "RemoteFunction.remote": [(place) => functionOf(place).remote(1)],
  "RemoteFunction.remote found": [(place) => functionOf(place).remote(1), [FOUND]],
  "RemoteFunction.remote accepted": [(place) => functionOf(place).remote(1), [FOUND, ACCEPTED]],
  "RemoteFunction.spawn": [(place) => functionOf(place).spawn(1)],
  "RemoteFunction.spawn found": [(place) => functionOf(place).spawn(1), [FOUND]],
  "RemoteFunction.remoteGen": [(place) => functionOf(place).remoteGen(1).next()],
  "RemoteFunction.remoteGen accepted": [
    (place) => functionOf(place).remoteGen(1).next(),
    [FOUND, ACCEPTED],
  ],
  "RemoteFunction.map": [(place) => drained(functionOf(place).map([1]))],
  "RemoteFunction.map found": [(place) => drained(functionOf(place).map([1])), [FOUND]],
  "RemoteFunction.map accepted": [
    (place) => drained(functionOf(place).map([1])),
    [FOUND, ACCEPTED],
  ],
  "RemoteFunction.map appended": [
    (place) => drained(functionOf(place).map(twoItems())),
    [FOUND, ACCEPTED],
  ],
  "RemoteFunction.starmap": [(place) => drained(functionOf(place).starmap([[1]]))],
  "RemoteFunction.forEach": [(place) => functionOf(place).forEach([1])],
  "RemoteFunction.withOptions": [
    ({ client, signal }) =>
      newApp(client)
        .function({ name: "f" }, (x: number) => x)
        .withOptions({ memoryMiB: 256 })
        .with({ signal })
        .remote(1),
    [FOUND],
  ],
  "RemoteFunction.updateAutoscaler": [
    (place) => functionOf(place).updateAutoscaler({ minContainers: 1 }, place),
  ],
  "RemoteClass.instance": [
    ({ client, signal }) =>
      newApp(client).cls({ name: "M" }, Model).instance().ask.with({ signal }).remote(),
  ],
  "RemoteClass.updateAutoscaler": [
    (place) =>
      newApp(place.client).cls({ name: "M" }, Model).updateAutoscaler({ minContainers: 1 }, place),
  ],
  "WebFunction.url": [
    (place) => {
      const endpoint = newApp(place.client).webEndpoint({ name: "w" }, () => new Response());
      return endpoint.url(place);
    },
  ],
  "FunctionCall.get": [(place) => callOf(place).get(place)],
  "FunctionCall.status": [(place) => callOf(place).status(place)],
  "FunctionCall.cancel": [(place) => callOf(place).cancel(place)],
  "FunctionCall.logs": [(place) => drained(callOf(place).logs(place))],
  "Volume.info": [(place) => volumeOf(place).info(place)],
  "Volume.history": [(place) => volumeOf(place).history(place)],
  "Volume.list": [(place) => volumeOf(place).list("", place)],
  "Volume.readFile": [(place) => volumeOf(place).readFile("f", place)],
  "Volume.readStream": [(place) => drained(volumeOf(place).readStream("f", place))],
  "Volume.writeFile": [(place) => volumeOf(place).writeFile("f", "text", place)],
  "Volume.writeFile begun": [
    (place) => volumeOf(place).writeFile("f", "text", place),
    [["POST /v1/volumes/v/uploads", JSON.stringify({ uploadId: "up_1" })]],
  ],
  "Volume.remove": [(place) => volumeOf(place).remove("f", place)],
  "Volume.copyIn": [(place) => volumeOf(place).copyIn(dir, "to", { signal: place.signal })],
  "Volume.copyOut": [
    ({ client, signal }) => volumeOf({ client, signal }).copyOut("f", join(dir, "o"), { signal }),
  ],
  "Volume.copyOut listed": [
    ({ client, signal }) => volumeOf({ client, signal }).copyOut("f", join(dir, "o"), { signal }),
    [
      [
        "GET /v1/volumes/v/entries",
        JSON.stringify({
          version: 1,
          entries: [{ kind: "file", path: "f", bytes: 5, modifiedAtMs: 0 }],
        }),
      ],
    ],
  ],
  "Sandbox.create": [(place) => Sandbox.create(place)],
  "Sandbox.create deployed": [
    (place) => Sandbox.create(place),
    [
      ["HEAD /v1/blobs/", ""],
      ["POST /v1/apps/", JSON.stringify({})],
    ],
  ],
  "Sandbox.fromId": [(place) => Sandbox.fromId(SANDBOX_ID, place)],
  "Sandbox.list": [(place) => Sandbox.list(place)],
  "Sandbox.exec": [async (place) => (await sandboxOf(place)).exec(["true"]), OPENED],
  "Sandbox.snapshotFilesystem": [
    async (place) => (await sandboxOf(place)).snapshotFilesystem(),
    OPENED,
  ],
  "Sandbox.tunnels": [async (place) => (await sandboxOf(place)).tunnels(80), OPENED],
  "Sandbox.terminate": [async (place) => (await sandboxOf(place)).terminate(), OPENED],
  "SandboxFiles.read": [inFiles((files) => files.read("f")), OPENED],
  "SandboxFiles.readText": [inFiles((files) => files.readText("f")), OPENED],
  "SandboxFiles.write": [inFiles((files) => files.write("f", "text")), OPENED],
  "SandboxFiles.list": [inFiles((files) => files.list("f")), OPENED],
  "SandboxFiles.makeFolder": [inFiles((files) => files.makeFolder("f")), OPENED],
  "SandboxFiles.remove": [inFiles((files) => files.remove("f")), OPENED],
  "SandboxFiles.watch": [inFiles((files) => drained(files.watch("f"))), OPENED],
  "SandboxFiles.watch begun": [inFiles((files) => drained(files.watch("f"))), STARTED],
  "SandboxProcess.wait": [inProcess((program) => program.wait()), STARTED],
  "SandboxProcess.output": [inProcess((program) => program.output()), STARTED],
  "SandboxProcess.stdout": [inProcess((program) => drained(program.stdout)), STARTED],
  "SandboxProcess.stderr": [inProcess((program) => drained(program.stderr)), STARTED],
  "SandboxProcess.write": [inProcess((program) => program.write("text")), STARTED],
  "SandboxProcess.end": [inProcess((program) => program.end()), STARTED],
  "SandboxProcess.resize": [inProcess((program) => program.resize({ rows: 9, cols: 9 })), STARTED],
  "SandboxProcess.kill": [inProcess((program) => program.kill()), STARTED],
};

/** What asks the platform for nothing by itself, or only makes another object of the class. */
const WITHOUT_REQUESTS = new Set([
  ...["constructor", "with", "withOptions", "functionName", "className", "commit", "reload"],
]);

/** One act against a server of its own: what is wrong with how it ends. */
async function endOf(act: Act, script: Script): Promise<void> {
  const server = new SilentServer(script);
  const client = new Client({ serverUrl: await server.listen(), token: "t" });
  const controller = new AbortController();
  const { signal } = controller;
  const reason = new Error("enough");
  try {
    const acting = act({ client, signal });
    acting.catch(() => undefined);
    await Promise.race([server.silence.promise, acting]);
    controller.abort(reason);
    // The server says nothing, so that nothing else could end it for half a minute.
    await expect(acting).rejects.toBe(reason);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    // What is cancelled in passing is given up too.
    await vi.waitFor(() => expect(server.unansweredCount).toBe(0), { timeout: 15_000 });
  } finally {
    await server.close();
  }
}

/** The same with a signal that has aborted before. */
async function endBefore(act: Act): Promise<void> {
  const server = new SilentServer([]);
  const client = new Client({ serverUrl: await server.listen(), token: "t" });
  const reason = new Error("before");
  try {
    await expect(act({ client, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.unansweredCount).toBe(0);
  } finally {
    await server.close();
  }
}

/** All at once, so that it takes as long as the slowest; gives the acts that end otherwise. */
async function wrongEnds(
  end: (act: Act, script: Script) => Promise<void>,
  acts: typeof ACTS,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const ends = Object.entries(acts).map(async ([name, [act, script = []]]) => {
    await end(act, script).catch((error: unknown) => wrong.push(`${name}: ${String(error)}`));
  });
  await Promise.all(ends);
  return wrong;
}

describe("a server that never answers", () => {
  test("is left as soon as the signal aborts, with its reason and nothing behind", async () => {
    expect(await wrongEnds(endOf, ACTS)).toEqual([]);
  }, 25_000);

  test("is not even asked when the signal has aborted before", async () => {
    const first = Object.entries(ACTS).filter(([, [, script]]) => script === undefined);
    expect(await wrongEnds(endBefore, Object.fromEntries(first))).toEqual([]);
  });

  test("is left by one who looks a function up, while another goes on waiting", async () => {
    const server = new SilentServer([]);
    const client = new Client({ serverUrl: await server.listen(), token: "t" });
    const [first, second] = [new AbortController(), new AbortController()];
    const f = newApp(client).function({ name: "f" }, (x: number) => x);
    const asking = [first, second].map(({ signal }) => f.with({ signal }).spawn(1));
    for (const each of asking) each.catch(() => undefined);
    await server.silence.promise;
    first.abort("first");
    await expect(asking[0]).rejects.toBe("first");
    // Its own cancel beside the look-up of both.
    expect(server.unansweredCount).toBeGreaterThan(0);
    second.abort("second");
    await expect(asking[1]).rejects.toBe("second");
    await server.close();
  });
});

test("a signal that lives on keeps nothing of calls that have ended", async () => {
  await withFakeServer({ answer: ([x]) => ({ value: x }) }, async ({ url }) => {
    const { signal } = new AbortController();
    const f = functionOf({ client: new Client({ serverUrl: url, token: "t" }), signal });
    expect(await f.remote(1)).toBe(1);
    await drained(f.map([1, 2, 3]));
    const call = await f.spawn(2);
    expect(await call.get({ signal })).toBe(2);
    await call.status({ signal });
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

test("in a container, commit and reload of a volume end with their signal", async () => {
  const asked = Promise.withResolvers<AbortSignal | undefined>();
  const request = (_: unknown, signal?: AbortSignal): Promise<never> => {
    asked.resolve(signal);
    return new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  };
  Reflect.set(globalThis, CONTAINER_KEY, { request });
  try {
    const volume = Volume.fromName("v");
    for (const act of [volume.commit.bind(volume), volume.reload.bind(volume)]) {
      const controller = new AbortController();
      const acting = act({ signal: controller.signal });
      acting.catch(() => undefined);
      await asked.promise;
      controller.abort("enough");
      await expect(acting).rejects.toBe("enough");
    }
  } finally {
    Reflect.deleteProperty(globalThis, CONTAINER_KEY);
  }
});

test("no method that asks the platform for something is left out here", () => {
  const classes = [
    ...[Client, RemoteFunction, RemoteClass, WebFunction, FunctionCall],
    ...[Volume, Sandbox, SandboxFiles, SandboxProcess],
  ];
  const named = new Set(Object.keys(ACTS).map((name) => name.split(" ")[0]));
  const missing = classes.flatMap(({ name, prototype }) =>
    Object.getOwnPropertyNames(prototype)
      .filter((method) => !WITHOUT_REQUESTS.has(method) && !named.has(`${name}.${method}`))
      .map((method) => `${name}.${method}`),
  );
  expect(missing).toEqual([]);
});
