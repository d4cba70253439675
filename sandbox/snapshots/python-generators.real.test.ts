/**
 * Two hundred processes of Python restored from one image of memory share no value of any
 * generator.
 *
 * Each generator was used before the image was made, so that what it had drawn ahead is in it.
 */
import { availableParallelism } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeValue } from "../../sdk/protocol/index.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { PACKAGES_DIR, pythonTree } from "./test-python-tree.ts";
import { RealBench } from "./test-real.ts";

const CLONES = 200;
const DRAWS = 4;

/** How the user's code draws from each generator: expressions of Python. */
const STANDARD_LIBRARY = {
  "random.random": "random.random()",
  "random.gauss": "random.gauss(0, 1)",
  "random.randbytes": "random.randbytes(12)",
  "a Random of the user's": "own.random()",
  "a Random of a class of the user's": "mine.random()",
  "a Random made after": "random.Random().random()",
  "random.SystemRandom": "random.SystemRandom().random()",
  "secrets.token_hex": "secrets.token_hex(12)",
  "secrets.randbelow": "secrets.randbelow(2 ** 90)",
  "uuid.uuid1": "uuid.uuid1()",
  "the node of uuid.uuid1": "uuid.uuid1().hex[20:]",
  "uuid.uuid4": "uuid.uuid4()",
  "os.urandom": "os.urandom(12)",
  "os.getrandom": "os.getrandom(12)",
  "/dev/urandom": "of_device()",
  "ssl.RAND_bytes": "ssl.RAND_bytes(12)",
  "a TLS session's random": "hello()",
  "a temporary file's name": "tempfile.mktemp()",
  "a temporary folder": "tempfile.mkdtemp()",
  "the key of multiprocessing": "multiprocessing.current_process().authkey",
  "sqlite3's random": "before.execute('select random()').fetchone()[0]",
  "sqlite3's randomblob":
    "sqlite3.connect(':memory:').execute('select randomblob(12)').fetchone()[0]",
  "a mail's id": "email.utils.make_msgid()",
  "a shuffled list": "shuffled()",
  "a thread": "of_thread()",
  "a child process": "of_child()",
} as const satisfies Readonly<Record<string, string>>;

const PACKAGES = {
  "numpy.random": "numpy.random.random()",
  "numpy.random's normal values": "numpy.random.standard_normal()",
  "numpy.random.bytes": "numpy.random.bytes(12)",
  "a RandomState of the user's": "state.random_sample()",
  "the normal values of a RandomState": "state.standard_normal()",
  "a generator of the user's": "generator.random()",
  "a generator made after": "numpy.random.default_rng().random()",
  "a child of a generator": "generator.spawn(1)[0].random()",
  "a child of a seed sequence": "sequence.spawn(1)[0].generate_state(4)",
  ...Object.fromEntries(
    ["PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"].map((name) => [
      `numpy's ${name}`,
      `bits["${name}"].random_raw(2)`,
    ]),
  ),
  "cryptography's elliptic curve key": "curve_key()",
  "cryptography's RSA padding": "padded()",
} as const satisfies Readonly<Record<string, string>>;

/** Too slow to be drawn more than once in every clone. */
const ONCE: readonly string[] = ["a child process"];
/** The same for all draws of one process, as it should be. */
const SAME: readonly string[] = ["the key of multiprocessing", "the node of uuid.uuid1"];

const tableOf = (generators: Readonly<Record<string, string>>): string =>
  Object.entries(generators)
    .map(([name, draw]) => `    ${JSON.stringify(name)}: lambda: ${draw},`)
    .join("\n");

const SOURCE = `
import email.utils, multiprocessing, os, random, secrets, sqlite3, ssl, subprocess, sys, tempfile
import threading, uuid

class Mine(random.Random):
    pass

own, mine, before = random.Random(), Mine(), sqlite3.connect(":memory:")

def of_device():
    with open("/dev/urandom", "rb") as device:
        return device.read(12)

def hello():
    """The random of a ClientHello: 32 bytes after the record's and the message's headers."""
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()[11:43]

context = ssl.create_default_context()
context.check_hostname = False

def shuffled():
    names = list(range(40))
    random.shuffle(names)
    return names

def of_thread():
    drawn = []
    thread = threading.Thread(target=lambda: drawn.append(random.random()))
    thread.start()
    thread.join()
    return drawn

def of_child():
    code = "import random, uuid; print(random.random(), uuid.uuid4())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout

draws = {
${tableOf(STANDARD_LIBRARY)}
}
`;

const SOURCE_OF_PACKAGES = `
import numpy
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

state, generator = numpy.random.RandomState(), numpy.random.default_rng()
sequence = numpy.random.SeedSequence()
bits = {name: getattr(numpy.random, name)() for name in ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")}
rsa_key = rsa.generate_private_key(65537, 2048).public_key()

def curve_key():
    return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value

def padded():
    return rsa_key.encrypt(b"x", padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))

draws.update({
${tableOf(PACKAGES)}
})
`;

const MAIN = `
fast = [name for name in draws if name not in ${JSON.stringify(ONCE)}]
for name in fast:
    draws[name]()

def main(slow):
    names = [(name, ${DRAWS}) for name in fast] + [(name, 1) for name in slow]
    return {name: [repr(draws[name]()) for _ in range(count)] for name, count in names}
`;

let bench: RealBench;
const drawn = new Map<string, string[]>();
let hasPackages = false;

beforeAll(async () => {
  bench = await RealBench.open();
  const root = await pythonTree(bench.dir, "numpy==2.2.6", "cryptography==45.0.5");
  hasPackages = root !== undefined;
  const changes: Partial<SandboxSpec> = {
    runner: "python",
    resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 512 },
    ...(root === undefined ? {} : { image: { rootfs: root, node: "/bin/node" } }),
  };
  const env = { PATH: "/usr/bin:/bin", PYTHONPATH: PACKAGES_DIR };
  const source = SOURCE + (hasPackages ? SOURCE_OF_PACKAGES : "") + MAIN;
  const imageDir = await bench.imageOf({ source, env }, changes);
  let left = CLONES;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const runner = await bench.restore(imageDir, env, changes);
      // A child costs a second: some clones are enough to see equal ones.
      runner.give({ in_1: left < 8 ? ONCE : [] });
      const { payload, error } = await runner.answer("in_1");
      if (error !== undefined) throw new Error(JSON.stringify(error));
      const values = decodeValue(payload) as Readonly<Record<string, readonly string[]>>;
      for (const [name, some] of Object.entries(values)) {
        const own = SAME.includes(name) ? some.slice(0, 1) : some;
        drawn.set(name, [...(drawn.get(name) ?? []), ...own]);
      }
      await runner.end();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}, 900_000);

afterAll(async () => {
  await bench.close();
});

function expectDistinct(name: string): void {
  const values = drawn.get(name) ?? [];
  const perClone = SAME.includes(name) ? 1 : DRAWS;
  expect(values.length).toBeGreaterThanOrEqual(ONCE.includes(name) ? 8 : CLONES * perClone);
  expect(values.filter((value) => /^(''|b''|None)$/.test(value))).toEqual([]);
  expect(new Set(values).size).toBe(values.length);
}

describe(`${CLONES} clones of one snapshot share not one value of`, () => {
  test.each(Object.keys(STANDARD_LIBRARY))("%s", expectDistinct);

  test.each(Object.keys(PACKAGES))("%s", (name) => {
    // Said loudly by who installs the packages.
    if (hasPackages) expectDistinct(name);
  });
});
