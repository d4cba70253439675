/**
 * Flotilla: define functions in TypeScript, run them on rented GPUs.
 *
 * Importing this costs no dependency and no work: connections are made at the first call.
 */
export { App, type AppOptions, type LookupOptions } from "./app.ts";
export {
  AppClass,
  RemoteClass,
  type ClassSpec,
  type Constructor,
  type EnterOptions,
  type HookName,
  type RemoteMethods,
} from "./class.ts";
export {
  type BatchedSpec,
  type BatchResults,
  type ItemsOf,
  type Lists,
  type ResultOf,
} from "./batched.ts";
export { type CallOptions } from "./call-options.ts";
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
export { type UpdateOptions } from "./autoscaler.ts";
export {
  FunctionCall,
  type GetOptions,
  type LogLine,
  type RequestOptions,
} from "./function-call.ts";
export { AppFunction, RemoteFunction, type MapItem, type WithExceptions } from "./function.ts";
export { type MapOptions } from "./map.ts";
export {
  type Batching,
  type CallErrorCode,
  type CallStatus,
  type FunctionOptions,
  type GpuChoice,
  type GpuType,
  NdArray,
  type NdArrayData,
  type NdArrayDtype,
  type NetworkPolicy,
  type FunctionScaling,
  type RequestAndLimit,
  type RetryPolicy,
  type ScalingUpdate,
  type Schedule,
  type CommitReport,
  type ContainerCommitReport,
  type ReloadReport,
  type VolumeEntry,
  type VolumeSummary,
  type VolumeVersion,
  type HttpMethod,
} from "./protocol/index.ts";
export { type Returned, type Yielded } from "./stream.ts";
export { type PythonCodeSpec, type PythonSpec } from "./python-function.ts";
export { Image } from "./image.ts";
export { RemoteError } from "./remote-error.ts";
export { Secret, type NamedSecretOptions, type SecretSource } from "./secret.ts";
export { type ProgramOptions } from "./sandbox/program.ts";
export { type TerminalSize } from "./sandbox/terminal-size.ts";
export { SandboxFiles, type SandboxFile } from "./sandbox/sandbox-files.ts";
export { SandboxEndedError, type SandboxTunnel } from "./sandbox/sandbox-link.ts";
export { SandboxProcess, type ProgramExit, type ProgramOutput } from "./sandbox/sandbox-process.ts";
export { type CronOptions, type PeriodOptions } from "./schedule.ts";
export {
  type FindSandboxOptions,
  Sandbox,
  type SandboxOptions,
  type SandboxSummary,
} from "./sandbox/sandbox.ts";
export { Volume, type VolumeOptions } from "./volume.ts";
export { type CopyOptions, type CopyProgress, type CopyReport } from "./volumes/copy.ts";
export {
  WebEndpoint,
  WebFunction,
  type RequestHandler,
  type ServerStart,
  type PythonWebEndpointSpec,
  type PythonWebServerSpec,
  type WebEndpointSpec,
  type WebServerSpec,
} from "./web.ts";
export { type WrittenSpec as FunctionSpec } from "./written-spec.ts";
