/** What Prometheus may ask about: one registry per platform process. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { InputOutcome } from "../../sdk/protocol/index.ts";

const MS_PER_SECOND = 1_000;
const HTTP_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 30];
const COLD_START_SECONDS = [0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300];

export interface HttpObservation {
  readonly method: string;
  /** The route's pattern, never the URL: labels must be few. */
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
}

/** The platform's own figures; every folder of the server may add to them. Calls cost ~1 µs. */
export interface Metrics {
  readonly registry: Registry;
  httpAnswered(observation: HttpObservation): void;
  /** Inputs of calls were accepted. */
  inputsAccepted(count: number): void;
  /** Inputs got their one result. */
  inputsFinished(outcome: InputOutcome, count: number): void;
  /** Inputs accepted and not yet in a container. */
  setQueueDepth(inputCount: number): void;
  setContainers(state: string, count: number): void;
  setNodes(state: string, count: number): void;
  /** From the decision to start a container to its readiness. */
  coldStarted(durationMs: number): void;
  /** Events lost because Redis was away too long, since the start. */
  setEventsDropped(count: number): void;
}

/** A registry of its own, with the process's figures (memory, event-loop lag) in it. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const http = new Histogram({
    name: "flotilla_http_request_seconds",
    help: "Time to answer HTTP requests; streams left out.",
    labelNames: ["method", "route", "status"] as const,
    buckets: HTTP_SECONDS,
    registers,
  });
  const coldStart = new Histogram({
    name: "flotilla_container_cold_start_seconds",
    help: "From the decision to start a container to its readiness.",
    buckets: COLD_START_SECONDS,
    registers,
  });
  const accepted = counter("inputs_accepted_total", "Inputs accepted.", [], registers);
  const finished = counter("inputs_finished_total", "Inputs finished.", ["outcome"], registers);
  const depth = gauge("queue_depth_inputs", "Inputs accepted, not in a container.", [], registers);
  const containers = gauge("containers", "Containers by state.", ["state"], registers);
  const nodes = gauge("nodes", "Nodes by state.", ["state"], registers);
  const dropped = gauge("events_dropped", "Events lost while Redis was away.", [], registers);
  return {
    registry,
    httpAnswered: ({ method, route, status, durationMs }) =>
      http.observe({ method, route, status }, durationMs / MS_PER_SECOND),
    inputsAccepted: (count) => accepted.inc(count),
    inputsFinished: (outcome, count) => finished.inc({ outcome }, count),
    setQueueDepth: (inputCount) => depth.set(inputCount),
    setContainers: (state, count) => containers.set({ state }, count),
    setNodes: (state, count) => nodes.set({ state }, count),
    coldStarted: (durationMs) => coldStart.observe(durationMs / MS_PER_SECOND),
    setEventsDropped: (count) => dropped.set(count),
  };
}

function counter(name: string, help: string, labelNames: string[], registers: Registry[]): Counter {
  return new Counter({ name: `flotilla_${name}`, help, labelNames, registers });
}

function gauge(name: string, help: string, labelNames: string[], registers: Registry[]): Gauge {
  return new Gauge({ name: `flotilla_${name}`, help, labelNames, registers });
}
