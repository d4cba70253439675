/** Apps and their versions in SQLite. */
import { PlatformError } from "../../../core/index.ts";
import type { DeployedFunction, ScalingUpdate } from "../../../sdk/protocol/index.ts";
import {
  VARIANTS_MAX,
  type NewDeployment,
  type NewVariant,
  type Registry,
  type StoredDeployment,
  type StoredFunction,
  type UpdatedFunction,
  type VariantOutcome,
} from "../record-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";

export class SqliteRegistry implements Registry {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async deploy(deployment: NewDeployment): Promise<StoredDeployment> {
    return this.#db.write(() => {
      const { appId, workspaceId, app, mode, codeSha256, createdAtMs } = deployment;
      this.#assertWorkspace(workspaceId);
      const version = mode === "deployed" ? this.#nextVersion(workspaceId, app) : 0;
      if (mode === "deployed") {
        this.#db.run(
          `UPDATE deployments SET state = 'stopped'
           WHERE workspace_id = ? AND app = ? AND mode = 'deployed' AND state = 'running'`,
          workspaceId,
          app,
        );
      }
      this.#db.run(
        `INSERT INTO deployments (app_id, workspace_id, app, mode, code_sha256, created_at_ms,
           version, state, lease_renewed_at_ms, token_id, strategy, rollback_of)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?)`,
        appId,
        workspaceId,
        app,
        mode,
        codeSha256,
        createdAtMs,
        version,
        createdAtMs,
        deployment.tokenId ?? null,
        deployment.strategy ?? null,
        deployment.rollbackOf ?? null,
      );
      for (const [position, { functionId, name, spec }] of deployment.functions.entries()) {
        this.#db.run(
          "INSERT INTO functions (function_id, app_id, position, name, spec) VALUES (?, ?, ?, ?, ?)",
          functionId,
          appId,
          position,
          name,
          JSON.stringify(spec),
        );
      }
      return { ...deployment, version, state: "running", leaseRenewedAtMs: createdAtMs };
    });
  }

  async findFunction(
    workspaceId: string,
    app: string,
    name: string,
  ): Promise<StoredFunction | undefined> {
    const row = this.#db.get(
      `SELECT deployments.*, function_id, name, spec, scaling, base, params
       FROM deployments JOIN functions USING (app_id)
       WHERE workspace_id = ? AND app = ? AND name = ?
         AND mode = 'deployed' AND state = 'running'`,
      workspaceId,
      app,
      name,
    );
    return Promise.resolve(row === undefined ? undefined : functionOf(row));
  }

  async getFunction(functionId: string): Promise<StoredFunction | undefined> {
    const row = this.#db.get(
      `SELECT deployments.*, function_id, name, spec, scaling, base, params
       FROM functions JOIN deployments USING (app_id) WHERE function_id = ?`,
      functionId,
    );
    return Promise.resolve(row === undefined ? undefined : functionOf(row));
  }

  async list(workspaceId: string): Promise<readonly StoredDeployment[]> {
    const rows = this.#db.all(
      `SELECT * FROM deployments WHERE workspace_id = ?
       ORDER BY created_at_ms DESC, rowid DESC`,
      workspaceId,
    );
    return Promise.resolve(
      rows.map((row) => ({
        ...deploymentOf(row),
        functions: this.#functionsOf(text(row, "app_id")),
      })),
    );
  }

  async setScaling(functionId: string, scaling: ScalingUpdate): Promise<boolean> {
    return this.#db.write(
      () =>
        this.#db.run(
          `UPDATE functions SET scaling = ? WHERE function_id = ?
             AND app_id IN (SELECT app_id FROM deployments WHERE state = 'running')`,
          JSON.stringify(scaling),
          functionId,
        ) === 1,
    );
  }

  async addVariant(variant: NewVariant): Promise<VariantOutcome> {
    return this.#db.write(() => this.#addVariant(variant));
  }

  async startAtOnce(appId: string): Promise<void> {
    await this.#db.write(() =>
      this.#db.run("UPDATE deployments SET strategy = 'rolling' WHERE app_id = ?", appId),
    );
  }

  async stop(appId: string, _nowMs: number): Promise<boolean> {
    return this.#db.write(
      () =>
        this.#db.run(
          "UPDATE deployments SET state = 'stopped' WHERE app_id = ? AND state = 'running'",
          appId,
        ) === 1,
    );
  }

  async renewLease(appId: string, nowMs: number): Promise<boolean> {
    return this.#db.write(
      () =>
        this.#db.run(
          "UPDATE deployments SET lease_renewed_at_ms = ? WHERE app_id = ? AND state = 'running'",
          nowMs,
          appId,
        ) === 1,
    );
  }

  #addVariant({ baseFunctionId, functionId, name, spec, params }: NewVariant): VariantOutcome {
    const base = this.#db.get(
      `SELECT app_id, name FROM functions JOIN deployments USING (app_id)
       WHERE function_id = ? AND base IS NULL AND state = 'running'`,
      baseFunctionId,
    );
    if (base === undefined) return { kind: "not_found" };
    const appId = text(base, "app_id");
    const known = this.#db.get(
      "SELECT function_id FROM functions WHERE app_id = ? AND name = ?",
      appId,
      name,
    );
    if (known !== undefined) return { kind: "found", functionId: text(known, "function_id") };
    const counts = this.#db.get(
      `SELECT COUNT(base) AS variants, MAX(position) AS position FROM functions WHERE app_id = ?`,
      appId,
    );
    if (count(counts ?? {}, "variants") >= VARIANTS_MAX) return { kind: "full" };
    this.#db.run(
      `INSERT INTO functions (function_id, app_id, position, name, spec, base, params)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      functionId,
      appId,
      count(counts ?? {}, "position") + 1,
      name,
      JSON.stringify(spec),
      text(base, "name"),
      params,
    );
    return { kind: "found", functionId };
  }

  /** Its tokens are revoked, but another server may not have heard of that yet. */
  #assertWorkspace(workspaceId: string): void {
    const sql = "SELECT 1 AS one FROM workspaces WHERE workspace_id = ? AND deleted_at_ms > 0";
    if (this.#db.get(sql, workspaceId) === undefined) return;
    const message = `the workspace ${workspaceId} was deleted; nothing can be deployed to it`;
    throw new PlatformError(message, { code: "not_found", retryable: false });
  }

  #nextVersion(workspaceId: string, app: string): number {
    const row = this.#db.get(
      `SELECT COALESCE(MAX(version), 0) + 1 AS version FROM deployments
       WHERE workspace_id = ? AND app = ?`,
      workspaceId,
      app,
    );
    return count(row ?? {}, "version");
  }

  #functionsOf(appId: string): StoredDeployment["functions"] {
    const rows = this.#db.all(
      "SELECT function_id, name, spec, scaling, base, params FROM functions WHERE app_id = ? ORDER BY position",
      appId,
    );
    return rows.map((row) => ({
      functionId: text(row, "function_id"),
      name: text(row, "name"),
      spec: specOf(row),
      ...updatesOf(row),
    }));
  }
}

function deploymentOf(row: Row): Omit<StoredDeployment, "functions"> {
  return {
    appId: text(row, "app_id"),
    workspaceId: text(row, "workspace_id"),
    app: text(row, "app"),
    mode: text(row, "mode") === "ephemeral" ? "ephemeral" : "deployed",
    codeSha256: text(row, "code_sha256"),
    createdAtMs: count(row, "created_at_ms"),
    version: count(row, "version"),
    state: text(row, "state") === "running" ? "running" : "stopped",
    leaseRenewedAtMs: count(row, "lease_renewed_at_ms"),
    ...originOf(row),
  };
}

function originOf({
  token_id: tokenId,
  strategy,
  rollback_of: rollbackOf,
}: Row): Pick<NewDeployment, "tokenId" | "strategy" | "rollbackOf"> {
  return {
    ...(typeof tokenId === "string" ? { tokenId } : {}),
    ...(strategy === "rolling" || strategy === "recreate" ? { strategy } : {}),
    ...(typeof rollbackOf === "number" ? { rollbackOf } : {}),
  };
}

function functionOf(row: Row): StoredFunction {
  return {
    functionId: text(row, "function_id"),
    name: text(row, "name"),
    spec: specOf(row),
    ...updatesOf(row),
    deployment: deploymentOf(row),
  };
}

function updatesOf({ scaling, base, params }: Row): UpdatedFunction {
  const isVariant = typeof base === "string" && params instanceof Uint8Array;
  return {
    ...(typeof scaling === "string" ? { scaling: JSON.parse(scaling) as ScalingUpdate } : {}),
    ...(isVariant ? { variant: { base, params } } : {}),
  };
}

function specOf(row: Row): DeployedFunction["spec"] {
  return JSON.parse(text(row, "spec")) as DeployedFunction["spec"];
}
