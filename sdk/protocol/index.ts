/** The wire: frames, values, API shapes and events. Imports nothing, used by both sides. */
export {
  FRAME_MEDIA_TYPE,
  INLINE_PAYLOAD_BYTES_MAX,
  INPUTS_PER_REQUEST_MAX,
  PAYLOAD_BYTES_MAX,
  TOKEN_PREFIX,
  WAIT_MS_MAX,
  type AppendInputsHeader,
  type AppList,
  type AppSummary,
  type CallErrorCode,
  type CallStatus,
  type ContainerSummary,
  type CreateCallHeader,
  type DeployedFunction,
  type Deployment,
  type DeployRequest,
  type FunctionInfo,
  type FunctionList,
  type FunctionScaling,
  type InputOutcome,
  type JsonCallRequest,
  type JsonCallResponse,
  type NodeSummary,
  type PlanLineSummary,
  type PlanSummary,
  type PlatformStatus,
  type Problem,
  type ResultItem,
  type ResultsHeader,
  type ScalingUpdate,
  type WireError,
} from "./api.ts";
export { decodeArchive, encodeArchive, type ArchivedFile } from "./archive.ts";
export { type EventBase, type EventBody, type PlatformEvent } from "./events.ts";
export {
  decodeFrame,
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameDecoder,
  FrameError,
  splitBody,
  type Frame,
} from "./frames.ts";
export { type FunctionSpec, type GpuChoice, type GpuType, type NetworkPolicy } from "./spec.ts";
export {
  decodeValue,
  encodeValue,
  NdArray,
  SerializationError,
  type NdArrayData,
  type NdArrayDtype,
} from "./values.ts";
