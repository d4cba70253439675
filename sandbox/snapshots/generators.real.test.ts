/**
 * Two hundred processes restored from one image of memory share no value of any generator.
 *
 * Each generator was used before the image was made, so that what it had drawn ahead is in it.
 */
import { availableParallelism } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeValue } from "../../sdk/protocol/index.ts";
import { RealBench } from "./test-real.ts";

const CLONES = 200;
const DRAWS = 4;

/** How the user's code draws from each generator: expressions of JavaScript. */
const GENERATORS = {
  "Math.random": "String(Math.random())",
  "Math.random of a context made before": "String(vm.runInContext('Math.random()', before))",
  "Math.random of a context made after":
    "String(vm.runInContext('Math.random()', vm.createContext({})))",
  "Math.random of a context of its own": "String(vm.runInNewContext('Math.random()'))",
  "Math.random of a script's context": "String(new vm.Script('Math.random()').runInNewContext())",
  "crypto.randomBytes": "crypto.randomBytes(16).toString('hex')",
  "crypto.randomBytes on another thread":
    "(await promisify(crypto.randomBytes)(16)).toString('hex')",
  "crypto.randomFillSync": "crypto.randomFillSync(Buffer.alloc(16)).toString('hex')",
  "crypto.randomUUID": "crypto.randomUUID()",
  "crypto.randomUUID without its cache": "crypto.randomUUID({ disableEntropyCache: true })",
  "globalThis.crypto.randomUUID": "globalThis.crypto.randomUUID()",
  "crypto.randomInt": "String(crypto.randomInt(2 ** 47))",
  "crypto.randomInt with a callback": "String(await promisify(crypto.randomInt)(2 ** 47))",
  getRandomValues:
    "Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString('hex')",
  generateKeySync: "crypto.generateKeySync('aes', { length: 256 }).export().toString('hex')",
  generatePrimeSync: "crypto.generatePrimeSync(96, { bigint: true }).toString()",
  "an elliptic curve's key": "crypto.createECDH('secp256k1').generateKeys('hex')",
  "an Ed25519 key":
    "crypto.generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).toString('hex')",
  "a Diffie-Hellman key": "crypto.createDiffieHellmanGroup('modp5').generateKeys('hex')",
  "a Web Crypto key":
    "Buffer.from(await globalThis.crypto.subtle.exportKey('raw', await globalThis.crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt']))).toString('hex')",
  "an ECDSA signature's nonce": "crypto.sign('sha256', Buffer.from('x'), signer).toString('hex')",
  "a TLS session's random": "await helloOf()",
  "a worker thread": "await fromWorker()",
  "a child process":
    "execFileSync(process.execPath, ['-p', 'Math.random() + crypto.randomUUID()']).toString()",
  "/dev/urandom": "ofDevice()",
  "a temporary folder's name": "mkdtempSync('/tmp/x-')",
} as const satisfies Readonly<Record<string, string>>;

/** Too slow to be drawn more than once in every clone. */
const ONCE: readonly string[] = ["a child process", "a worker thread", "a TLS session's random"];

const SOURCE = `
import crypto from "node:crypto";
import vm from "node:vm";
import tls from "node:tls";
import { Duplex } from "node:stream";
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync } from "node:fs";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";

const before = vm.createContext({});
const signer = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

/** The random of a ClientHello: 32 bytes after the record's and the message's headers. */
function helloOf() {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk, _, done) {
        resolve(chunk.subarray(11, 43).toString("hex"));
        done();
      },
    });
    tls.connect({ socket: wire }).on("error", () => undefined);
  });
}
function ofDevice() {
  const device = openSync("/dev/urandom");
  const bytes = Buffer.alloc(16);
  readSync(device, bytes);
  closeSync(device);
  return bytes.toString("hex");
}
function fromWorker() {
  return new Promise((resolve, reject) => {
    const code = "require('worker_threads').parentPort.postMessage(Math.random() + require('crypto').randomUUID())";
    new Worker(code, { eval: true }).once("message", resolve).once("error", reject);
  });
}
const draws = {
${Object.entries(GENERATORS)
  .map(([name, draw]) => `  ${JSON.stringify(name)}: async () => ${draw},`)
  .join("\n")}
};
const fast = Object.keys(draws).filter((name) => !${JSON.stringify(ONCE)}.includes(name));
for (const name of fast) await draws[name]();
export const main = async (slow) => {
  const values = {};
  for (const name of [...fast, ...slow]) {
    values[name] = [];
    for (let time = 0; time < (fast.includes(name) ? ${DRAWS} : 1); time += 1) {
      values[name].push(await draws[name]());
    }
  }
  return values;
};
`;

let bench: RealBench;
const drawn = new Map<string, string[]>();

beforeAll(async () => {
  bench = await RealBench.open();
  const imageDir = await bench.imageOf(SOURCE);
  let left = CLONES;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const runner = await bench.restore(imageDir);
      // A child and a thread cost a second: some clones are enough to see equal ones.
      runner.give({ in_1: left < 8 ? ONCE : [] });
      const { payload, error } = await runner.answer("in_1");
      if (error !== undefined) throw new Error(JSON.stringify(error));
      const values = decodeValue(payload) as Readonly<Record<string, readonly string[]>>;
      for (const [name, some] of Object.entries(values)) {
        drawn.set(name, [...(drawn.get(name) ?? []), ...some]);
      }
      await runner.end();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}, 600_000);

afterAll(async () => {
  await bench.close();
});

describe(`${CLONES} clones of one snapshot share not one value of`, () => {
  test.each(Object.keys(GENERATORS))("%s", (name) => {
    const values = drawn.get(name) ?? [];
    expect(values.length).toBeGreaterThanOrEqual(ONCE.includes(name) ? 8 : CLONES * DRAWS);
    expect(values.filter((value) => value === "")).toEqual([]);
    expect(new Set(values).size).toBe(values.length);
  });
});
