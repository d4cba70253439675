import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import { decodeArchive } from "../protocol/index.ts";
import { bundlePython, SOURCE_BYTES_MAX } from "./bundle-python.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-python-source-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

const bundle = (source: string, handler: string) => bundlePython({ source, handler }, folder);

async function pathsOf(source: string, handler: string): Promise<readonly string[]> {
  return decodeArchive((await bundle(source, handler)).archive).map(({ path }) => path);
}

describe("a source", () => {
  test("that is a file goes alone, and its bytes give the hash", async () => {
    write({ "model.py": "def predict(x): return x\n", "other.py": "" });
    const first = await bundle("model.py", "predict");
    expect(first.code).toMatchObject({ module: "model", handler: "predict" });
    expect(decodeArchive(first.archive)).toEqual([
      { path: "model.py", data: new Uint8Array(Buffer.from("def predict(x): return x\n")) },
    ]);
    expect((await bundle("./model.py", "predict")).code).toEqual(first.code);
    const source = { source: "model.py", handler: "predict", workers: "processes" } as const;
    const { code } = await bundlePython(source, folder);
    expect(code).toEqual({ ...first.code, workers: "processes" });
    write({ "model.py": "def predict(x): return -x\n" });
    expect((await bundle("model.py", "predict")).code.codeSha256).not.toBe(first.code.codeSha256);
  });

  test("that is a package keeps its name, and its parts can hold the handler", async () => {
    write({ "shop/__init__.py": "from .prices import f\n", "shop/prices.py": "def f(): pass\n" });
    expect((await bundle("shop", "f")).code).toMatchObject({ module: "shop", handler: "f" });
    expect((await bundle("shop", "prices:f")).code.module).toBe("shop.prices");
    expect(await pathsOf("shop", "f")).toEqual(["shop/__init__.py", "shop/prices.py"]);
  });

  test("that is a folder of modules names the handler's", async () => {
    write({ "src/a/b.py": "class M:\n  def g(self): pass\n", "src/labels.txt": "x" });
    expect((await bundle("src", "a.b:M.g")).code).toMatchObject({ module: "a.b", handler: "M.g" });
    await expect(bundle("src", "g")).rejects.toThrow(/names the module too, as in handler: "serve/);
  });

  test("leaves out what is hidden, compiled or an environment", async () => {
    write({
      "src/a.py": "def f(): pass\n",
      "src/.git/config": "",
      "src/.env": "SECRET=1",
      "src/__pycache__/a.cpython-311.pyc": "",
      "src/old.pyc": "",
      "src/environment/pyvenv.cfg": "",
      "src/environment/lib/big.py": "",
      "src/node_modules/x/y.py": "",
      "src/data/words.txt": "",
    });
    expect(await pathsOf("src", "a:f")).toEqual(["a.py", "data/words.txt"]);
  });
});

describe("mistakes are told before anything is sent", () => {
  const check = async (source: string, handler: string, message: RegExp): Promise<void> => {
    const bundling = bundle(source, handler);
    await expect(bundling).rejects.toBeInstanceOf(UsageError);
    await expect(bundling).rejects.toThrow(message);
  };

  test("a source that is not there, or is no module", async () => {
    await check("gone.py", "f", /there is no Python source gone\.py \(.*gone\.py\)/);
    write({ "my-model.py": "", "notes.txt": "", "src/a.py": "" });
    await check("my-model.py", "f", /its name must end in \.py and be one that can be imported/);
    await check("notes.txt", "f", /is no Python module/);
    await check("src", "b:f", /src has no module "b" \(it has: a\)/);
  });

  test("a file that does not compile, with its line", async () => {
    write({ "src/a.py": "def f(): pass\n", "src/b.py": "x = 1\ndef g(:\n" });
    await check("src", "a:f", /under the Python 3[\s\S]*"b\.py", line 2[\s\S]*SyntaxError/);
  });

  test("a handler that is not there, with the nearest", async () => {
    write({ "model.py": "import os\nSIZE = 3\ndef predict(): pass\nclass Model: pass\n" });
    await check("model.py", "predikt", /no "predikt".*did you mean "predict".*os, SIZE, predict/s);
    await check("model.py", "Modell.run", /no "Modell".*did you mean "Model"/);
  });

  test("but not a handler that only running the file can tell", async () => {
    write({ "a.py": "from os.path import *\n", "b.py": "if True:\n  def f(): pass\n" });
    expect((await bundle("a.py", "join")).code.handler).toBe("join");
    expect((await bundle("b.py", "f")).code.handler).toBe("f");
  });

  test("a symbolic link, and more than code may have", async () => {
    write({ "src/a.py": "def f(): pass\n", "big.py": `x = "${"x".repeat(SOURCE_BYTES_MAX)}"\n` });
    symlinkSync("/etc/passwd", join(folder, "src/secrets.txt"));
    await check("src", "a:f", /secrets\.txt is a symbolic link/);
    await check("big.py", "x", /more than the 16777216 that code may have/);
  });
});
