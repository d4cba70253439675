/**
 * The container's way to the hosts that it may reach, for programs that know proxies: an HTTP and
 * SOCKS5 proxy on the container's own loopback, which is a bridge to the socket of the agent's.
 *
 * The bridge is a thread of its own, so that it works while user code blocks this one, as with
 * `spawnSync("curl")`. Node's `fetch`, `http` and `https` take the proxy from now on; child
 * processes find it in the usual variables.
 */
/** Given by the agent to a container that may reach something; nothing of it is secret. */
const SOCKET = process.env["FLOTILLA_EGRESS"];
const HEAP_MIB = 16;

const BRIDGE = `
const { connect, createServer } = require("node:net");
const { parentPort, workerData } = require("node:worker_threads");
const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ path: workerData, allowHalfOpen: true });
  near.on("error", () => far.destroy()).on("close", () => far.destroy());
  far.on("error", () => near.destroy()).on("close", () => near.destroy());
  near.pipe(far).pipe(near);
});
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;

/** Opens the way out, if this container has one; a user's own proxy variables stay. */
export async function openWayOut(): Promise<void> {
  if (SOCKET === undefined) return;
  // Loaded where it is needed only: it is most of what a runner's start would cost.
  const [{ setGlobalProxyFromEnv }, { Worker }] = await Promise.all([
    import("node:http"),
    import("node:worker_threads"),
  ]);
  const worker = new Worker(BRIDGE, {
    eval: true,
    workerData: SOCKET,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  worker.unref();
  const proxy = `http://127.0.0.1:${port}`;
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]) {
    process.env[name] ??= proxy;
  }
  for (const name of ["ALL_PROXY", "all_proxy"])
    process.env[name] ??= `socks5h://127.0.0.1:${port}`;
  for (const name of ["NO_PROXY", "no_proxy"]) process.env[name] ??= "localhost,127.0.0.1,::1";
  process.env["NODE_USE_ENV_PROXY"] ??= "1";
  setGlobalProxyFromEnv();
}
