/**
 * The schema, as steps from an empty database. Forward only: a step that has landed is never
 * edited; `PRAGMA user_version` counts the steps taken.
 *
 * An input's key is `call_key * 2^24 + idx` and a result's is `call_key * 2^24 + seq`: one
 * B-tree look-up each, and pages of one call lie together. That bounds a call to 2^24 inputs
 * and a database to 2^29 calls, within what a JavaScript number holds exactly.
 */

/** Inputs a call may have at most. */
export const INPUTS_PER_CALL_MAX = 2 ** 24;

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE deployments (
    app_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    app TEXT NOT NULL,
    mode TEXT NOT NULL,
    code_sha256 TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    lease_renewed_at_ms INTEGER NOT NULL
  );
  CREATE INDEX deployments_by_app ON deployments (workspace_id, app, created_at_ms);

  CREATE TABLE functions (
    function_id TEXT PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES deployments (app_id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    UNIQUE (app_id, name)
  );

  CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    node_id TEXT,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER
  );

  CREATE TABLE calls (
    call_key INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL UNIQUE,
    workspace_id TEXT NOT NULL,
    function_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    input_count INTEGER NOT NULL,
    finished_count INTEGER NOT NULL,
    failed_count INTEGER NOT NULL,
    final INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER
  );
  CREATE INDEX calls_running ON calls (call_id) WHERE state = 'running';
  CREATE INDEX calls_ended ON calls (ended_at_ms) WHERE ended_at_ms IS NOT NULL;

  CREATE TABLE inputs (
    input_key INTEGER PRIMARY KEY,
    payload BLOB,
    sha256 TEXT,
    byte_count INTEGER NOT NULL,
    finished INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE attempts (
    input_key INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    container_id TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    PRIMARY KEY (input_key, attempt)
  ) WITHOUT ROWID;

  CREATE TABLE results (
    result_key INTEGER PRIMARY KEY,
    idx INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    payload BLOB,
    sha256 TEXT,
    byte_count INTEGER,
    error TEXT,
    run_ms REAL NOT NULL,
    container_id TEXT,
    finished_at_ms INTEGER NOT NULL
  );

  CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    client_token TEXT NOT NULL,
    reason TEXT NOT NULL,
    gpu_count REAL NOT NULL,
    price_micro_usd_per_hour INTEGER NOT NULL,
    requested_at_ms INTEGER NOT NULL,
    launched_at_ms INTEGER,
    terminated_at_ms INTEGER,
    gpu_ms_used REAL NOT NULL
  );
  CREATE INDEX nodes_open ON nodes (requested_at_ms) WHERE terminated_at_ms IS NULL;

  CREATE TABLE plans (
    position INTEGER PRIMARY KEY,
    plan_id TEXT NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    plan TEXT NOT NULL
  );
  `,
  // JSON of what was updated of a function's scaling since its deployment.
  "ALTER TABLE functions ADD COLUMN scaling TEXT;",
  // 1 when the platform itself ended the container: held against no input.
  "ALTER TABLE attempts ADD COLUMN excused INTEGER NOT NULL DEFAULT 0;",
  `
  CREATE TABLE arrivals (
    workspace_id TEXT NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    history TEXT NOT NULL,
    startup_ms REAL,
    PRIMARY KEY (workspace_id, app, name)
  );
  CREATE INDEX arrivals_by_age ON arrivals (at_ms);
  `,
  // JSON of the request that a node is part of, and of when its machine joined.
  "ALTER TABLE nodes ADD COLUMN rent TEXT;",
  `
  CREATE TABLE pool_events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    node_id TEXT,
    cloud TEXT,
    offer_id TEXT,
    provider_node_id TEXT,
    reason TEXT NOT NULL
  );
  CREATE INDEX pool_events_by_node ON pool_events (node_id, sequence);
  CREATE INDEX pool_events_by_age ON pool_events (at_ms);

  CREATE TABLE fences (
    name TEXT PRIMARY KEY,
    token INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  // JSON of what was seen of each offer.
  "CREATE TABLE offer_records (offer_key TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;",
  // What the pool remembers beside its nodes, each value as JSON.
  `
  CREATE TABLE pool_memory (
    kind TEXT NOT NULL,
    memory_key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, memory_key)
  ) WITHOUT ROWID;
  CREATE INDEX pool_memory_by_age ON pool_memory (at_ms);
  `,
  // By what a machine without tags may tell whose it is.
  `
  CREATE INDEX nodes_by_machine ON nodes (node ->> '$.providerNodeId');
  CREATE INDEX nodes_by_token ON nodes (client_token);
  `,
  // Of a variant: the name of its function in the code, and the payload of its parameters.
  `
  ALTER TABLE functions ADD COLUMN base TEXT;
  ALTER TABLE functions ADD COLUMN params BLOB;
  `,
  "ALTER TABLE calls ADD COLUMN deadline_at_ms INTEGER;",
  // Images; what is in them as JSON.
  `
  CREATE TABLE images (
    workspace_id TEXT NOT NULL,
    image_id TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (workspace_id, image_id)
  ) WITHOUT ROWID;
  `,
  // What generators yielded: `call_key * 2^24 + position`.
  `
  ALTER TABLE calls ADD COLUMN value_count INTEGER;
  CREATE TABLE yielded_values (
    value_key INTEGER PRIMARY KEY,
    payload BLOB,
    sha256 TEXT,
    byte_count INTEGER
  );
  `,
  // 1 when it failed and the input was tried again.
  "ALTER TABLE attempts ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;",
  // Of a version: who deployed it, how it follows the one before, and whose code it took.
  `
  ALTER TABLE deployments ADD COLUMN token_id TEXT;
  ALTER TABLE deployments ADD COLUMN strategy TEXT;
  ALTER TABLE deployments ADD COLUMN rollback_of INTEGER;
  `,
  // Secrets: their data keys and values, both encrypted.
  `
  CREATE TABLE secrets (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, name)
  ) WITHOUT ROWID;
  CREATE TABLE secret_values (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    variable TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (workspace_id, name, variable),
    FOREIGN KEY (workspace_id, name) REFERENCES secrets ON DELETE CASCADE
  );
  `,
  // Functions that are called by schedule, and what became of each scheduled time.
  `
  CREATE TABLE schedules (
    workspace_id TEXT NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    schedule TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    next_ms INTEGER,
    paused_at_ms INTEGER,
    missed_count INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, app, name)
  ) WITHOUT ROWID;
  CREATE INDEX schedules_by_next ON schedules (next_ms);
  CREATE TABLE schedule_runs (
    workspace_id TEXT NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    call_id TEXT,
    missed_count INTEGER,
    first_due_at_ms INTEGER,
    reason TEXT,
    PRIMARY KEY (workspace_id, app, name, due_at_ms)
  ) WITHOUT ROWID;
  CREATE INDEX schedule_runs_starting ON schedule_runs (due_at_ms) WHERE state = 'starting';
  `,
  // Workspaces; what tokens may do (those from before were their owners': all); whose blobs are.
  `
  CREATE TABLE workspaces (
    workspace_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    deleted_at_ms INTEGER,
    purged_at_ms INTEGER
  );
  CREATE UNIQUE INDEX workspaces_by_name ON workspaces (name) WHERE deleted_at_ms IS NULL;
  INSERT INTO workspaces (workspace_id, name, created_at_ms)
    VALUES ('default', 'default', CAST(unixepoch('subsec') * 1000 AS INTEGER));
  ALTER TABLE tokens ADD COLUMN scopes TEXT;
  ALTER TABLE tokens ADD COLUMN last_used_at_ms INTEGER;
  ALTER TABLE tokens ADD COLUMN revoked_at_ms INTEGER;
  UPDATE tokens SET scopes = '["operator"]' WHERE kind = 'user';
  CREATE TABLE blob_owners (
    workspace_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (workspace_id, sha256)
  ) WITHOUT ROWID;
  INSERT OR IGNORE INTO blob_owners SELECT workspace_id, code_sha256 FROM deployments;
  INSERT OR IGNORE INTO blob_owners
    SELECT workspace_id, spec ->> '$.python.codeSha256' FROM functions JOIN deployments USING (app_id)
    WHERE spec ->> '$.python.codeSha256' IS NOT NULL;
  `,
  // Volumes: names, versions by the index of their content, and what containers still read.
  `
  CREATE TABLE volumes (
    workspace_id TEXT NOT NULL,
    name TEXT NOT NULL,
    volume_id TEXT NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, name)
  );
  CREATE TABLE volume_versions (
    volume_id TEXT NOT NULL REFERENCES volumes (volume_id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    content_id TEXT,
    commit_id TEXT NOT NULL,
    committed_at_ms INTEGER NOT NULL,
    committed_by TEXT NOT NULL,
    changed_count INTEGER NOT NULL,
    removed_count INTEGER NOT NULL,
    entry_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (volume_id, version),
    UNIQUE (volume_id, commit_id)
  );
  CREATE TABLE volume_holds (
    container_id TEXT NOT NULL,
    content_id TEXT NOT NULL,
    held_at_ms INTEGER NOT NULL,
    PRIMARY KEY (container_id, content_id)
  ) WITHOUT ROWID;
  `,
  // Quotas as JSON; containers on nodes, how far their servers are, and what ended, by hour.
  `
  ALTER TABLE workspaces ADD COLUMN quotas TEXT;
  CREATE TABLE usage_spans (
    container_id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    tags TEXT NOT NULL,
    gpu_type TEXT NOT NULL,
    node_id TEXT NOT NULL,
    server_id TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    cpu_milli INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    gpu_milli INTEGER NOT NULL,
    cpu_rate INTEGER NOT NULL,
    memory_rate INTEGER NOT NULL,
    gpu_rate INTEGER NOT NULL,
    lost_at_ms INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX usage_spans_by_workspace ON usage_spans (workspace_id);
  CREATE TABLE usage_clocks (server_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE usage_hours (
    workspace_id TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    tags TEXT NOT NULL,
    gpu_type TEXT NOT NULL,
    container_ms INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    memory_mib_s INTEGER NOT NULL,
    gpu_ms INTEGER NOT NULL,
    cpu_micro_usd INTEGER NOT NULL,
    memory_micro_usd INTEGER NOT NULL,
    gpu_micro_usd INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, hour_ms, app, name, tags, gpu_type)
  ) WITHOUT ROWID;
  CREATE TABLE usage_months (
    workspace_id TEXT NOT NULL,
    month_ms INTEGER NOT NULL,
    micro_usd INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, month_ms)
  ) WITHOUT ROWID;
  `,
  // What a container has used beyond what is reserved; NULL until where it begins is known.
  `ALTER TABLE usage_spans ADD COLUMN extra_cpu_ms INTEGER;
  ALTER TABLE usage_spans ADD COLUMN extra_memory_mib_s INTEGER;`,
  // Which blobs there are, and which calls need them. What was stored before stays, but for
  // payloads that have a column of their own.
  `
  CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    used_at_ms INTEGER NOT NULL,
    lasting INTEGER NOT NULL,
    removing_at_ms INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX blobs_that_go ON blobs (sha256) WHERE lasting = 0;
  CREATE TABLE call_blobs (
    call_key INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (call_key, sha256)
  ) WITHOUT ROWID;
  CREATE INDEX call_blobs_by_sha256 ON call_blobs (sha256);
  INSERT OR IGNORE INTO call_blobs SELECT input_key >> 24, sha256 FROM inputs
    WHERE sha256 IS NOT NULL;
  INSERT OR IGNORE INTO call_blobs SELECT result_key >> 24, sha256 FROM results
    WHERE sha256 IS NOT NULL;
  INSERT OR IGNORE INTO call_blobs SELECT value_key >> 24, sha256 FROM yielded_values
    WHERE sha256 IS NOT NULL;
  INSERT OR IGNORE INTO blobs SELECT sha256, 0, 1, NULL FROM blob_owners;
  INSERT OR IGNORE INTO blobs
    SELECT sha256, CAST(unixepoch('subsec') * 1000 AS INTEGER), 0, NULL FROM call_blobs;
  `,
  // What starts of an image read; NULL until one has told.
  `ALTER TABLE images ADD COLUMN reads BLOB;`,
  // Who stores chunks, and which of them nothing was seen to need, in one order.
  `
  CREATE TABLE chunk_turns (turn INTEGER NOT NULL);
  INSERT INTO chunk_turns VALUES (0);
  CREATE TABLE chunk_leases (
    lease_id TEXT PRIMARY KEY,
    store TEXT NOT NULL,
    turn INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE condemned_chunks (
    store TEXT NOT NULL,
    chunk_id TEXT NOT NULL,
    turn INTEGER NOT NULL,
    removing_until_ms INTEGER,
    PRIMARY KEY (store, chunk_id)
  ) WITHOUT ROWID;
  `,
];
