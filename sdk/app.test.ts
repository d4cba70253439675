import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { App } from "./app.ts";
import { UsageError } from "./errors.ts";
import { nameFunctions, registeredApps, type RuntimeHook } from "./registry.ts";

const hook = (): RuntimeHook =>
  (globalThis as unknown as Record<symbol, RuntimeHook>)[Symbol.for("flotilla.runtime")]!;

beforeEach(() => registeredApps().clear());

describe("names", () => {
  test("come from the spec, else the export, else the code", () => {
    const app = new App("shop");
    const module = {
      byExport: app.function({}, () => "export"),
      ignored: app.function({ name: "bySpec" }, () => "spec"),
    };
    app.function({}, function byCode() {
      return "code";
    });
    const resolve = (name: string): unknown => hook().resolveProgram(module, name).handler();
    expect(resolve("byExport")).toBe("export");
    expect(resolve("bySpec")).toBe("spec");
    expect(resolve("byCode")).toBe("code");
  });

  test("a function that nothing names is an error that says how to name it", () => {
    const app = new App("shop");
    app.function({}, () => 1);
    expect(() => hook().resolveProgram({}, "f")).toThrow(/export it, or give its spec a `name`/);
  });

  test("two functions of one name are an error", () => {
    const app = new App("shop");
    app.function({ name: "f" }, () => 1);
    app.function({ name: "f" }, () => 2);
    expect(() => hook().resolveProgram({}, "f")).toThrow(/two functions named "f"/);
  });

  test("a name that is not there is told with the nearest", () => {
    const app = new App("shop");
    app.function({ name: "price" }, () => 1);
    expect(() => hook().resolveProgram({}, "prise")).toThrow(
      'the code has no function "prise": did you mean "price"? (it has: price)',
    );
  });

  test("two apps may use one name when the app is named too", () => {
    new App("a").function({ name: "f" }, () => "a");
    new App("b").function({ name: "f" }, () => "b");
    expect(hook().resolveProgram({}, "f", "b").handler()).toBe("b");
  });
});

test("an app spread over two modules is one app", () => {
  new App("shop").function({ name: "f" }, () => 1);
  new App("shop").function({ name: "g" }, () => 2);
  const record = registeredApps().get("shop")!;
  expect([...nameFunctions(record, {}).keys()]).toEqual(["f", "g"]);
});

test("local runs the code here", async () => {
  const app = new App("shop");
  expect(app.function({}, (x: number) => x + 1).local(1)).toBe(2);
});

describe("within a container", () => {
  const key = Symbol.for("flotilla.container");
  afterEach(() => Reflect.deleteProperty(globalThis, key));

  test("a remote call goes through the node agent", async () => {
    const asked: string[] = [];
    const refusal = { status: 404, code: "not_found", detail: "there is no app shop" };
    const body = new TextEncoder().encode(JSON.stringify(refusal));
    const value = {
      currentInput: () => undefined,
      request: async ({ method, path }: { method: string; path: string }) => {
        asked.push(`${method} ${path}`);
        return Promise.resolve({ status: 404, body });
      },
    };
    Object.defineProperty(globalThis, key, { value, configurable: true });
    const square = new App("shop").function({ name: "f" }, (x: number) => x);
    await expect(square.remote(1)).rejects.toThrow("there is no app shop");
    expect(asked).toEqual(["GET /v1/apps/shop/functions/f"]);
  });
});

test("what is no function is refused", () => {
  const app = new App("shop");
  expect(() => app.function({}, 5 as never)).toThrow(UsageError);
  expect(() => app.localEntrypoint(5 as never)).toThrow(UsageError);
});

describe("functions of Python", () => {
  const python = { runtime: "python", source: "model.py", handler: "Model.predict" } as const;

  test("are called as their handler unless an export or their spec names them", () => {
    const app = new App("shop");
    const byExport = app.function<[x: number], string>(python);
    app.function({ ...python, handler: "serve:rank" });
    app.function({ ...python, name: "bySpec" });
    const names = nameFunctions(registeredApps().get("shop")!, { byExport });
    expect([...names.keys()]).toEqual(["byExport", "rank", "bySpec"]);
    expect(names.get("rank")?.python).toEqual({ source: "model.py", handler: "serve:rank" });
    expect(names.get("rank")?.spec).toEqual({});
  });

  test.each([
    [{ ...python, runtime: "ruby" }, /runtime must be "python".*"ruby"/],
    [{ ...python, source: "" }, /source must be the path/],
    [{ ...python, handler: "a b" }, /handler must name a Python function/],
    [{ ...python, handler: "m:f:g" }, /handler must name a Python function/],
    [{ ...python, workers: "fibers" }, /workers must be "threads" or "processes", got "fibers"/],
    [{ ...python, gpu: "H10O" }, /did you mean "H100"/],
    [{ ...python, python: {} }, /python is filled in by/],
  ])("are refused with %j", (spec, message) => {
    expect(() => new App("shop").function(spec as typeof python)).toThrow(message);
  });

  test("take no code as second argument, and none here to run", () => {
    const app = new App("shop");
    const define = app.function.bind(app) as (...args: unknown[]) => { local(): unknown };
    expect(() => define(python, () => 1)).toThrow(/has its code in `source`/);
    expect(() => define(python).local()).toThrow(/is Python, which runs in containers only/);
  });
});
