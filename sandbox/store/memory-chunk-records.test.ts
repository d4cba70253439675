import { describeChunkRecords } from "./chunk-records-conformance.ts";
import { createMemoryChunkRecords } from "./memory-chunk-records.ts";

describeChunkRecords("memory", () => Promise.resolve(createMemoryChunkRecords()));
