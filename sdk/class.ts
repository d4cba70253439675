/**
 * Classes: state that is loaded once in a container and used by many calls.
 *
 * A class is deployed as one function whose inputs name a method, so that all its methods share
 * containers. Each set of constructor parameters and options is a variant of it, with containers
 * of its own.
 */
import { updateAutoscaler, type UpdateOptions } from "./autoscaler.ts";
import type { CallTarget } from "./call-target.ts";
import { UsageError } from "./errors.ts";
import { RemoteFunction } from "./function.ts";
import type { FunctionScaling, ScalingUpdate } from "./protocol/api.ts";
import type { FunctionOptions } from "./protocol/spec.ts";
import type { Handler, UserProgram } from "./registry.ts";
import type { WrittenSpec } from "./written-spec.ts";

/** Names of the methods that take no argument: what may be a hook. */
export type HookName<Instance> = {
  [Key in keyof Instance & string]: Instance[Key] extends () => unknown ? Key : never;
}[keyof Instance & string];

/** When an `enter` hook runs. */
export interface EnterOptions {
  /**
   * True: before a memory snapshot is taken, so that what it loaded is restored and not loaded
   * again. False: in every container, after a restore too.
   */
  readonly snapshot: boolean;
}

/** The options of a class: those of a function, and its hooks. */
export interface ClassSpec<
  Enter extends string = string,
  Exit extends string = string,
> extends Omit<WrittenSpec, "schedule" | "batched"> {
  /**
   * Methods that run before the first input, in this order, those with `snapshot` first. A
   * container is ready when they have ended; an error in one fails its start.
   */
  readonly enter?: Readonly<Record<Enter, EnterOptions>>;
  /**
   * Methods that run, in this order, when a container ends in peace: idle, replaced, evicted, or
   * its machine taken back. They have 30 s together, less when the machine goes sooner. A
   * container that is killed (time limit, memory, crash) runs none.
   */
  readonly exit?: readonly Exit[];
}

/** A class whose instances can be deployed. */
export type Constructor<Params extends unknown[], Instance> = new (...params: Params) => Instance;

/** The methods of an instance that runs on the platform. */
export type RemoteMethods<Instance, Hook extends string = never> = {
  readonly [
    Key in Exclude<keyof Instance & string, Hook> as Instance[Key] extends (
      ...args: never[]
    ) => unknown
      ? Key
      : never
  ]: Instance[Key] extends (...args: infer Args) => infer Result
    ? RemoteFunction<Args, Result>
    : never;
};

/**
 * A class that runs in containers on the platform.
 *
 * @example
 * const english = Greeter.instance("en");
 * console.log(await english.greet.remote("Ann"));
 */
export class RemoteClass<
  Params extends unknown[] = unknown[],
  Instance = unknown,
  Hook extends string = never,
> {
  readonly #target: CallTarget;

  /** Classes come from `app.cls` and `App.lookupClass`. */
  constructor(target: CallTarget) {
    this.#target = target;
  }

  /** The name under which it is deployed. @throws UsageError when nothing names it. */
  get className(): string {
    return this.#target.name;
  }

  /**
   * The instance with these constructor parameters. Nothing is sent before a method is called;
   * equal parameters share containers, different ones do not.
   *
   * @throws SerializationError when a parameter cannot be sent.
   */
  instance(...params: Params): RemoteMethods<Instance, Hook> {
    return methodsOf<Instance, Hook>(this.#target.withParams(params));
  }

  /** The same class with other options, such as another GPU, in containers of its own. */
  withOptions(options: FunctionOptions): RemoteClass<Params, Instance, Hook> {
    return new RemoteClass(this.#target.withOptions(options));
  }

  /**
   * Changes how the class scales, at once and without a new version, until its app is deployed
   * again. What is left out stays as it is. Each instance has containers of its own, which follow
   * the class in what they have in common; one alone is changed through any of its methods.
   *
   * @example
   * await Model.updateAutoscaler({ minContainers: 2, scaledownWindowMs: 300_000 });
   * @returns The scaling that is in force now, and what of it was updated.
   * @throws UsageError naming the field; NotFoundError when it runs no more.
   */
  updateAutoscaler(update: ScalingUpdate, options: UpdateOptions = {}): Promise<FunctionScaling> {
    return updateAutoscaler(this.#target, update, options);
  }
}

/** A class defined in this process: what a `RemoteClass` does, and `local`. */
export class AppClass<
  Params extends unknown[] = unknown[],
  Instance = unknown,
  Hook extends string = never,
> extends RemoteClass<Params, Instance, Hook> {
  /** What the class asked for, as it was written. */
  readonly spec: ClassSpec;
  readonly #type: Constructor<Params, Instance>;

  /** Made by `app.cls`. */
  constructor(target: CallTarget, spec: ClassSpec, type: Constructor<Params, Instance>) {
    super(target);
    this.spec = spec;
    this.#type = type;
  }

  /** An instance here, in this process, after its `enter` hooks have run. */
  async local(...params: Params): Promise<Instance> {
    const program = programOf(this.#type, this.spec);
    const instance = program.construct(params) as Instance;
    await program.enter(true);
    await program.enter(false);
    return instance;
  }
}

/**
 * Splits a class's options: what the platform is told of it, without what only its code needs.
 *
 * @throws UsageError when a hook is no method of the class.
 */
export function functionSpecOf<Params extends unknown[], Instance>(
  spec: ClassSpec,
  type: Constructor<Params, Instance>,
): WrittenSpec {
  const { enter, exit, ...functionSpec } = spec;
  if ("schedule" in spec) {
    throw new UsageError(
      "a class has no schedule: give it to a function that calls one of its methods",
    );
  }
  if ("batched" in spec) throw new UsageError("a class has no batched: functions have");
  const prototype: unknown = type.prototype;
  for (const hook of [...Object.keys(enter ?? {}), ...(exit ?? [])]) {
    if (isMethod(prototype, hook)) continue;
    throw new UsageError(
      `class "${type.name}" has no method "${hook}" for its enter and exit hooks`,
    );
  }
  return functionSpec;
}

/** What a container's runner does with a class. */
export function programOf<Params extends unknown[], Instance>(
  type: Constructor<Params, Instance>,
  { enter = {}, exit = [] }: ClassSpec,
): UserProgram {
  let instance: object | undefined;
  const hooks = new Set([...Object.keys(enter), ...exit]);
  const call = (name: string, args: readonly unknown[]): unknown => {
    const method: unknown = instance === undefined ? undefined : Reflect.get(instance, name);
    if (typeof method === "function") return Reflect.apply(method as Handler, instance, args);
    throw new UsageError(`class "${type.name}" has no method "${name}"`);
  };
  return {
    construct: (params) => {
      instance = Reflect.construct(type, [...params]) as object;
      return instance;
    },
    enter: async (snapshot) => {
      for (const [name, options] of Object.entries(enter)) {
        if (options.snapshot === snapshot) await call(name, []);
      }
    },
    handler: (name, ...args) => {
      const isCallable =
        typeof name === "string" && !hooks.has(name) && isMethod(type.prototype, name);
      if (isCallable) return call(name, args);
      throw new UsageError(`class "${type.name}" has no method "${String(name)}" to be called`);
    },
    exits: exit.map((name) => async () => {
      await call(name, []);
    }),
  };
}

/** Whether it is a method of the class itself or of one that it extends, but for Object's. */
function isMethod(prototype: unknown, name: string): boolean {
  if (name === "constructor" || name in Object.prototype) return false;
  for (let each: unknown = prototype; typeof each === "object" && each !== null;) {
    const property = Object.getOwnPropertyDescriptor(each, name);
    if (property !== undefined) return typeof property.value === "function";
    each = Object.getPrototypeOf(each);
  }
  return false;
}

/** Any name is a method here: which ones there are is known where the class is. */
function methodsOf<Instance, Hook extends string>(
  target: CallTarget,
): RemoteMethods<Instance, Hook> {
  const known = new Map<string, RemoteFunction>();
  const methods = new Proxy(
    {},
    {
      get: (_, name) => {
        // Whoever awaits an instance asks for `then`.
        if (typeof name !== "string" || name === "then") return undefined;
        const method = known.get(name) ?? new RemoteFunction(target.withMethod(name));
        known.set(name, method);
        return method;
      },
    },
  );
  return methods as RemoteMethods<Instance, Hook>;
}
