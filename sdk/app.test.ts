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
  beforeEach(() => Object.defineProperty(globalThis, key, { value: true, configurable: true }));
  afterEach(() => Reflect.deleteProperty(globalThis, key));

  test("a remote call says that there is no network", async () => {
    const square = new App("shop").function({ name: "f" }, (x: number) => x);
    await expect(square.remote(1)).rejects.toThrow(/from within a container, which has no network/);
    await expect(square.remote(1)).rejects.toBeInstanceOf(UsageError);
  });
});

test("what is no function is refused", () => {
  const app = new App("shop");
  expect(() => app.function({}, 5 as never)).toThrow(UsageError);
  expect(() => app.localEntrypoint(5 as never)).toThrow(UsageError);
});
