import { beforeEach, describe, expect, test } from "vitest";
import { App } from "./app.ts";
import { Client } from "./client/client.ts";
import { SerializationError, UsageError } from "./errors.ts";
import { FakeServer, withFakeServer } from "./fake/fake-server.ts";
import { decodeFrame, decodeValue, type VariantHeader } from "./protocol/index.ts";
import { registeredApps, type RuntimeHook, type UserProgram } from "./registry.ts";

const log: string[] = [];

class Greeter {
  readonly language: string;

  constructor(language = "en") {
    this.language = language;
    log.push(`new ${language}`);
  }

  load(): void {
    log.push("load");
  }

  async connect(): Promise<void> {
    await Promise.resolve();
    log.push("connect");
  }

  warm(): void {
    log.push("warm");
  }

  greet(name: string): string {
    return `${this.language}: ${name}`;
  }

  farewell(): void {
    log.push("farewell");
  }

  close(): void {
    log.push("close");
  }
}

const SPEC = {
  enter: { connect: { snapshot: false }, load: { snapshot: true }, warm: { snapshot: false } },
  exit: ["farewell", "close"],
} as const;

function programOf(app: App, name: string): UserProgram {
  const hook = (globalThis as unknown as Record<symbol, RuntimeHook>)[
    Symbol.for("flotilla.runtime")
  ];
  return hook!.resolveProgram({}, name, app.name);
}

beforeEach(() => {
  registeredApps().clear();
  log.length = 0;
});

describe("in a container", () => {
  test("hooks run in their order, those that a snapshot may hold before the others", async () => {
    const app = new App("hello");
    app.cls(SPEC, Greeter);
    const program = programOf(app, "Greeter");
    program.construct(["de"]);
    await program.enter(true);
    expect(log).toEqual(["new de", "load"]);
    await program.enter(false);
    expect(log).toEqual(["new de", "load", "connect", "warm"]);
    expect(program.handler("greet", "Ann")).toBe("de: Ann");
    for (const exit of program.exits) await exit();
    expect(log.slice(4)).toEqual(["farewell", "close"]);
  });

  test.each(["load", "close", "constructor", "toString", "language", "__proto__", "missing", 7])(
    "what is no method of the user's to be called is refused: %s",
    (name) => {
      const app = new App("hello");
      app.cls(SPEC, Greeter);
      const program = programOf(app, "Greeter");
      program.construct([]);
      expect(() => program.handler(name)).toThrow(/has no method/);
    },
  );

  test("methods of a class that it extends can be called and be hooks", async () => {
    class Loud extends Greeter {
      override greet(name: string): string {
        return super.greet(name).toUpperCase();
      }
    }
    const app = new App("hello");
    app.cls(SPEC, Loud);
    const program = programOf(app, "Loud");
    program.construct([]);
    await program.enter(true);
    expect(program.handler("greet", "Ann")).toBe("EN: ANN");
  });

  test("each container has an instance of its own", () => {
    const app = new App("hello");
    app.cls(SPEC, Greeter);
    const [one, other] = [programOf(app, "Greeter"), programOf(app, "Greeter")];
    one.construct(["fr"]);
    other.construct(["it"]);
    expect([one.handler("greet", "x"), other.handler("greet", "x")]).toEqual(["fr: x", "it: x"]);
  });

  test("an error in a hook is the user's own", async () => {
    class Broken {
      load(): void {
        throw new RangeError("no weights");
      }
    }
    const app = new App("hello");
    app.cls({ enter: { load: { snapshot: false } } }, Broken);
    const program = programOf(app, "Broken");
    program.construct([]);
    await expect(program.enter(false)).rejects.toThrow(RangeError);
  });
});

describe("defined", () => {
  test("a hook that the class does not have is told", () => {
    const app = new App("hello");
    expect(() => app.cls({ exit: ["bye"] } as never, Greeter)).toThrow(
      'class "Greeter" has no method "bye"',
    );
    expect(() => app.cls({}, 5 as never)).toThrow(UsageError);
    expect(() => app.cls({ gpus: "H100" } as never, Greeter)).toThrow(/no option "gpus"/);
  });

  test("local builds an instance here, entered as in a container", async () => {
    const greeter = await new App("hello").cls(SPEC, Greeter).local("es");
    expect(greeter.greet("Ann")).toBe("es: Ann");
    expect(log).toEqual(["new es", "load", "connect", "warm"]);
  });
});

describe("called", () => {
  /** Answers look-ups of variants: an id for each set of options and parameters. */
  async function withClass(
    body: (greeter: ReturnType<typeof defineGreeter>, server: FakeServer) => Promise<void>,
  ): Promise<void> {
    const variants: string[] = [];
    let server: FakeServer | undefined;
    const options = {
      answer: (args: unknown[]) => ({ value: args }),
      others: (name: string, frame: Buffer, response: { end(text: string): void }): boolean => {
        if (!name.endsWith("/variants")) return false;
        const { header, body: params } = decodeFrame<VariantHeader>(frame);
        const paramList = header.paramsBytes === 0 ? [] : decodeValue(params);
        variants.push(JSON.stringify([paramList, header.options]));
        if (server !== undefined) server.functionId = `fn_v${variants.length}`;
        response.end(JSON.stringify({ functionId: `fn_v${variants.length}`, name: "v" }));
        return true;
      },
    };
    await withFakeServer(options, async (running) => {
      server = running;
      const client = new Client({ serverUrl: running.url, token: "fl_test" });
      await body(defineGreeter(client), running);
    });
    seen.splice(0, seen.length, ...variants);
  }
  const seen: string[] = [];
  const defineGreeter = (client: Client) => new App("hello", { client }).cls(SPEC, Greeter);

  test("a method travels before its arguments, and an instance without any is no variant", async () => {
    await withClass(async (greeter) => {
      expect(await greeter.instance().greet.remote("Ann")).toEqual(["greet", "Ann"]);
      const mapped = [];
      for await (const one of greeter.instance().greet.map(["a", "b"])) mapped.push(one);
      expect(mapped).toEqual([
        ["greet", "a"],
        ["greet", "b"],
      ]);
    });
    expect(seen).toEqual([]);
  });

  test("an instance with parameters is looked up once for all its methods", async () => {
    await withClass(async (greeter) => {
      const german = greeter.instance("de");
      await german.greet.remote("Ann");
      await german.greet.remote("Bob");
    });
    expect(seen).toEqual(['[["de"],{}]']);
  });

  test("options and parameters make one variant", async () => {
    await withClass(async (greeter) => {
      await greeter.withOptions({ gpu: "T4" }).instance("fr").greet.remote("Ann");
    });
    expect(seen).toEqual(['[["fr"],{"gpu":"T4"}]']);
  });

  test("wrong options and parameters are told before anything is sent", async () => {
    await withClass(async (greeter, server) => {
      expect(() => greeter.withOptions({ gpu: "T5" } as never)).toThrow(/did you mean "T4"/);
      expect(() => greeter.withOptions({ name: "x" } as never)).toThrow(/cannot rename/);
      const bad = (() => 1) as unknown as string;
      expect(() => greeter.instance(bad)).toThrow(/params\[0\] is a function/);
      await expect(greeter.instance().greet.remote(bad)).rejects.toThrow(
        new SerializationError("args[0] is a function, which cannot be sent"),
      );
      expect(() => greeter.instance().greet.withOptions({})).toThrow(/its class has options/);
      expect(server.requests).toEqual([]);
    });
  });

  test("an instance can be awaited by mistake", async () => {
    await withClass(async (greeter) => {
      const instance = greeter.instance("de");
      expect(await Promise.resolve(instance)).toBe(instance);
    });
  });
});
