/**
 * Flotilla: define functions in TypeScript, run them on rented GPUs.
 *
 * Importing this costs no dependency and no work: connections are made at the first call.
 */
export { App, type AppOptions } from "./app.ts";
export {
  AppClass,
  RemoteClass,
  type ClassSpec,
  type Constructor,
  type EnterOptions,
  type HookName,
  type RemoteMethods,
} from "./class.ts";
export { Client, type ClientOptions } from "./client/client.ts";
export { currentInput, type CurrentInput } from "./current-input.ts";
export {
  AuthError,
  CallError,
  FlotillaError,
  isFlotillaError,
  NotFoundError,
  QuotaError,
  RequestError,
  SerializationError,
  ServerUnreachableError,
  TimeoutError,
  UsageError,
} from "./errors.ts";
export { FunctionCall, type GetOptions } from "./function-call.ts";
export { AppFunction, RemoteFunction, type MapItem } from "./function.ts";
export { type MapOptions } from "./map.ts";
export {
  type CallErrorCode,
  type CallStatus,
  type FunctionOptions,
  type FunctionSpec,
  type GpuChoice,
  type GpuType,
  type NetworkPolicy,
} from "./protocol/index.ts";
export { RemoteError } from "./remote-error.ts";
