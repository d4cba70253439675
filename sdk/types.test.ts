import { expect, expectTypeOf, test } from "vitest";
import {
  App,
  type AppFunction,
  type FunctionCall,
  type FunctionScaling,
  type MapItem,
  type RemoteClass,
  type RemoteFunction,
  type SandboxOptions,
} from "./index.ts";

const app = new App("types");
const square = app.function({ name: "square" }, (x: number) => x * x);
const greet = app.function({ name: "greet" }, async (name: string, loud?: boolean) =>
  loud === true ? name.toUpperCase() : name,
);
const pair = app.function({ name: "pair" }, (a: number, b: string) => ({ a, b }));

test("arguments and results are those of the user's function", () => {
  type Greet = typeof greet;
  expectTypeOf(square).toEqualTypeOf<AppFunction<[x: number], number>>();
  expectTypeOf(greet).toEqualTypeOf<
    AppFunction<[name: string, loud?: boolean | undefined], Promise<string>>
  >();
  expectTypeOf(pair).toEqualTypeOf<AppFunction<[a: number, b: string], { a: number; b: string }>>();
  expectTypeOf<Parameters<typeof square.remote>>().toEqualTypeOf<[x: number]>();
  expectTypeOf<ReturnType<typeof square.remote>>().toEqualTypeOf<Promise<number>>();
  expectTypeOf<Parameters<Greet["remote"]>>().toEqualTypeOf<
    [name: string, loud?: boolean | undefined]
  >();
  expectTypeOf<ReturnType<Greet["remote"]>>().toEqualTypeOf<Promise<string>>();
  expectTypeOf<ReturnType<typeof pair.spawn>>().toEqualTypeOf<
    Promise<FunctionCall<{ a: number; b: string }>>
  >();
  expectTypeOf<ReturnType<Greet["local"]>>().toEqualTypeOf<Promise<string>>();
  expectTypeOf<ReturnType<typeof square.local>>().toEqualTypeOf<number>();
});

test("cores and memory are an amount, or a request and a limit, and nothing else", () => {
  const sized = { cpu: { request: 0.5, limit: 2 }, memoryMiB: { request: 256, limit: 1_024 } };
  expectTypeOf(app.function({ name: "sized", ...sized }, () => 1)).toEqualTypeOf<
    AppFunction<[], number>
  >();
  expectTypeOf(square.withOptions(sized)).toEqualTypeOf(square.withOptions({ cpu: 1 }));
  expectTypeOf(sized).toExtend<SandboxOptions>();
  expectTypeOf<{ cpu: { request: number } }>().not.toExtend<SandboxOptions>();
  expectTypeOf<{ cpu: readonly [number, number] }>().not.toExtend<SandboxOptions>();
  expectTypeOf<{ memoryMiB: { request: 1; limit: "2" } }>().not.toExtend<SandboxOptions>();
});

test("an autoscaler takes what scales and gives what is in force", () => {
  type Update = Parameters<typeof square.updateAutoscaler>[0];
  expectTypeOf<{ minContainers: number }>().toExtend<Update>();
  expectTypeOf<{ minContainers: string }>().not.toExtend<Update>();
  expectTypeOf<keyof Update>().toEqualTypeOf<
    "minContainers" | "maxContainers" | "bufferContainers" | "scaledownWindowMs"
  >();
  expectTypeOf<
    ReturnType<typeof square.updateAutoscaler>
  >().resolves.toEqualTypeOf<FunctionScaling>();
});

test("map takes the items of a function with one required argument", () => {
  expectTypeOf<MapItem<[x: number]>>().toEqualTypeOf<number>();
  expectTypeOf<MapItem<[name: string, loud?: boolean | undefined]>>().toEqualTypeOf<string>();
  expectTypeOf<MapItem<[a: number, b: string]>>().toBeNever();
  expectTypeOf<MapItem<number[]>>().toEqualTypeOf<number>();
  expectTypeOf<Parameters<typeof greet.map>[0]>().toEqualTypeOf<
    Iterable<string> | AsyncIterable<string>
  >();
  expectTypeOf<ReturnType<typeof greet.map>>().toEqualTypeOf<
    AsyncGenerator<string, void, undefined>
  >();
});

test("errors are among the results only when that is asked", () => {
  const mapped = () => pair.starmap([[1, "a"]], { returnExceptions: true });
  type Pair = { a: number; b: string };
  expectTypeOf(mapped).returns.toEqualTypeOf<AsyncGenerator<Pair | Error, void, undefined>>();
  const plain = () => square.map([1], { ordered: false });
  expectTypeOf(plain).returns.toEqualTypeOf<AsyncGenerator<number, void, undefined>>();
  expectTypeOf<ReturnType<typeof square.forEach>>().toEqualTypeOf<Promise<void>>();
});

test("remoteGen yields and returns what the generator does, and nothing of other functions", () => {
  const letters = app.function({ name: "letters" }, async function* (text: string) {
    for (const letter of text) yield await Promise.resolve(letter);
    return text.length;
  });
  // Never called: only its types are looked at.
  const streamed = (text: string) => letters.remoteGen(text);
  expectTypeOf(streamed).returns.toEqualTypeOf<AsyncGenerator<string, number, undefined>>();
  expectTypeOf<ReturnType<typeof square.remoteGen>>().toEqualTypeOf<
    AsyncGenerator<never, never, undefined>
  >();
});

test("a batched function is called with an element of each list, and gives an element of its own", () => {
  const batched = { maxBatchSize: 8, waitMs: 10 };
  const double = app.function({ name: "double", batched }, (xs: number[]) => xs.map((x) => 2 * x));
  expectTypeOf<Parameters<typeof double.remote>>().toEqualTypeOf<[xs: number]>();
  const called = async () => double.remote(1);
  expectTypeOf(called).returns.toEqualTypeOf<Promise<number>>();
  expectTypeOf<ReturnType<typeof double.local>>().toEqualTypeOf<Promise<number>>();
  expectTypeOf<Parameters<typeof double.map>[0]>().toEqualTypeOf<
    Iterable<number> | AsyncIterable<number>
  >();
  const label = app.function(
    { name: "label", batched },
    async (names: readonly string[], sizes: number[]) =>
      Promise.resolve(names.map((name, at) => (sizes[at] === 0 ? new Error("empty") : { name }))),
  );
  expectTypeOf<Parameters<typeof label.remote>>().toEqualTypeOf<[names: string, sizes: number]>();
  const labelled = async () => label.remote("a", 1);
  expectTypeOf(labelled).returns.toEqualTypeOf<Promise<{ name: string }>>();
  // @ts-expect-error a batched function returns a list
  expect(() => app.function({ batched }, (xs: number[]) => xs.length)).not.toThrow();
  // @ts-expect-error a batched function takes lists
  expect(() => app.function({ batched }, (x: number) => [x])).not.toThrow();
});

test("lookup takes its types from the caller", () => {
  const looked = (): Promise<RemoteFunction<[number], string>> =>
    App.lookup<[number], string>("a", "f");
  expectTypeOf(looked).returns.resolves.toEqualTypeOf<RemoteFunction<[number], string>>();
});

test("a wrong GPU or option does not compile", () => {
  // Never called: only its types are looked at.
  const wrong = (): void => {
    // @ts-expect-error an unknown type
    app.function({ gpu: "H10O" }, () => 1);
    // @ts-expect-error more than eight GPUs
    app.function({ gpu: "H100:9" }, () => 1);
    // @ts-expect-error an unknown option
    app.function({ gpuz: "H100" }, () => 1);
    app.function({ gpu: ["H100:8", "H200:8"] }, () => 1);
    app.function({ schedule: app.cron("@daily") }, (day = "today") => day);
    // @ts-expect-error a schedule gives no arguments
    app.function({ schedule: app.cron("@daily") }, (day: string) => day);
    // @ts-expect-error a class has no schedule
    app.cls({ schedule: app.period({ minutes: 5 }) }, Date);
    // @ts-expect-error the argument is a number
    void square.remote("1");
  };
  expectTypeOf(wrong).toBeFunction();
});

test("an entrypoint keeps its type", () => {
  const main = app.localEntrypoint(async (x: string) => x.length);
  expectTypeOf(main).toEqualTypeOf<(x: string) => Promise<number>>();
});

test("a Python function has the types that it is given by hand", () => {
  const python = { runtime: "python", source: "model.py", handler: "predict" } as const;
  const predict = app.function<[text: string], Float32Array>(python);
  expectTypeOf(predict).toEqualTypeOf<RemoteFunction<[text: string], Float32Array>>();
  expectTypeOf(app.function(python)).toEqualTypeOf<RemoteFunction>();
  const write = app.function<[text: string], Generator<string, number>>(python);
  expectTypeOf(write.remoteGen("a")).toEqualTypeOf<AsyncGenerator<string, number, undefined>>();
});

test("a class gives its methods, without its hooks and fields, and its parameters", () => {
  class Model {
    readonly size: "small" | "large";
    readonly seed: number | undefined;
    constructor(size: "small" | "large", seed?: number) {
      this.size = size;
      this.seed = seed;
    }
    load(): void {
      return undefined;
    }
    close(): Promise<void> {
      return Promise.resolve();
    }
    async embed(text: string): Promise<Float32Array> {
      return Promise.resolve(new Float32Array(text.length));
    }
  }
  const model = app.cls(
    { name: "Model", gpu: "T4", enter: { load: { snapshot: true } }, exit: ["close"] },
    Model,
  );
  type Instance = ReturnType<typeof model.instance>;
  expectTypeOf<Parameters<typeof model.instance>>().toEqualTypeOf<
    [size: "small" | "large", seed?: number | undefined]
  >();
  expectTypeOf<keyof Instance>().toEqualTypeOf<"embed">();
  expectTypeOf<Instance["embed"]>().toEqualTypeOf<
    RemoteFunction<[text: string], Promise<Float32Array>>
  >();
  expectTypeOf<ReturnType<Instance["embed"]["remote"]>>().toEqualTypeOf<Promise<Float32Array>>();
  const looked = () => App.lookupClass<typeof model>("a", "Model");
  expectTypeOf(looked).returns.resolves.toEqualTypeOf<
    RemoteClass<[size: "small" | "large", seed?: number | undefined], Model, "load" | "close">
  >();
  // Never called: only its types are looked at.
  const wrong = (): void => {
    // @ts-expect-error a hook takes no argument
    app.cls({ exit: ["embed"] }, Model);
    // @ts-expect-error no such method
    app.cls({ enter: { lod: { snapshot: true } } }, Model);
    // @ts-expect-error a parameter is wrong
    model.instance("medium");
    // @ts-expect-error options have no name
    model.withOptions({ name: "other" });
  };
  expectTypeOf(wrong).toBeFunction();
});
