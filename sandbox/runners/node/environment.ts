/** The environment of the process: what the container was told, and nothing of its machine. */

/** Makes `env` the whole environment. */
export function setEnvironment(env: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, env);
}
