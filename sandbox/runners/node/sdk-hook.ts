/** What the SDK in a user's bundle does for the runner, at its least; for tests. */
export const HOOK = `globalThis[Symbol.for("flotilla.runtime")] = {
  resolveProgram: (module, name) => {
    const handler = module[name];
    if (handler === undefined) throw new Error("there is no function " + name);
    const [enter, exits] = [() => Promise.resolve(), []];
    return { construct: () => undefined, enter, exits, handler, ...handler.program };
  },
};
`;
