import { expectTypeOf, test } from "vitest";
import {
  App,
  type AppFunction,
  type FunctionCall,
  type MapItem,
  type RemoteFunction,
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
});
