-- What is recorded of executions that no runner of ours executed, beside those that it did; and what is known of errors.

-- Beside what a runner executes, an attempt is what somebody records: it has no task in the store then.
ALTER TABLE attempt ALTER COLUMN task_id DROP NOT NULL;
-- Recordings, prunings and what is said of errors belong to no run.
ALTER TABLE event ALTER COLUMN run_id DROP NOT NULL;

-- What a recording tells of; NULL, as the columns that follow: Tasktrail executed it.
ALTER TABLE attempt ADD COLUMN type TEXT CHECK (type IN ('task_execution', 'observation'));
-- Its public id.
ALTER TABLE attempt ADD COLUMN public_id TEXT;
-- data: the task as its reporter names it.
ALTER TABLE attempt ADD COLUMN task_ref TEXT;
-- data: a short name of the task.
ALTER TABLE attempt ADD COLUMN task_slug TEXT;
-- By which it is known again; NULL: it has none, or another record had it before.
ALTER TABLE attempt ADD COLUMN idempotency_key TEXT;
-- 1: it was read from a file, long after.
ALTER TABLE attempt ADD COLUMN backfilled INTEGER CHECK (backfilled IN (0, 1));
-- text: what the execution answered, or what was observed.
ALTER TABLE attempt ADD COLUMN response TEXT;
-- data: JSON list of the ids of records that it stands on.
ALTER TABLE attempt ADD COLUMN parents TEXT;
-- Of the session, where it is not the execution's own.
ALTER TABLE attempt ADD COLUMN session_id TEXT;
-- data: JSON, the rest of what was told.
ALTER TABLE attempt ADD COLUMN details TEXT;

-- text: what somebody said when they called it resolved, or asked not to hear of it.
ALTER TABLE error ADD COLUMN note TEXT;

CREATE UNIQUE INDEX attempt_public_id ON attempt (public_id) WHERE public_id IS NOT NULL;
CREATE INDEX attempt_session ON attempt (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX attempt_backfilled ON attempt (started_at DESC) WHERE backfilled = 1;
CREATE INDEX ix_experiences_type_ts ON attempt (type, started_at DESC) WHERE type IS NOT NULL;
CREATE INDEX ix_experiences_task ON attempt (task_ref, started_at DESC) WHERE task_ref IS NOT NULL;
CREATE INDEX ix_experiences_task_slug ON attempt (task_slug, started_at DESC) WHERE task_slug IS NOT NULL;
CREATE INDEX ix_experiences_trace ON attempt (trace_id) WHERE type IS NOT NULL;
CREATE UNIQUE INDEX ix_experiences_idempotency ON attempt (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Of both kinds. What succeeds does not pay for the first three.
CREATE INDEX attempt_failed ON attempt (started_at DESC) WHERE outcome IN ('error', 'timeout', 'lost');
CREATE INDEX attempt_failed_task ON attempt (task_ref, started_at DESC)
  WHERE outcome IN ('error', 'timeout', 'lost') AND task_ref IS NOT NULL;
CREATE INDEX attempt_fingerprint ON attempt (fingerprint, started_at DESC) WHERE fingerprint IS NOT NULL;
CREATE INDEX attempt_started ON attempt (started_at DESC) WHERE type IS NULL;
CREATE INDEX run_trace ON run (trace_id);

-- Every execution, whoever executed it: one row each; times are UTC as text, `recorded` is 0 where Tasktrail executed it.
CREATE VIEW executions AS
SELECT
  attempt.public_id AS id,
  attempt.task_ref AS task_id,
  attempt.task_ref AS task,
  attempt.task_slug AS task_slug,
  attempt.details ->> 'task_name' AS task_name,
  attempt.details ->> 'task_type' AS task_type,
  attempt.details ->> 'scheduled_vs_manual' AS scheduled_vs_manual,
  CASE attempt.outcome WHEN 'ok' THEN 'success' WHEN 'cancelled' THEN 'aborted' ELSE 'failed' END AS status,
  strftime('%Y-%m-%dT%H:%M:%fZ', attempt.started_at / 1000 / 1000.0, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', attempt.ended_at / 1000 / 1000.0, 'unixepoch') AS ended_at,
  attempt.duration_us / 1000 AS duration_ms,
  attempt.trace_id AS trace_id,
  attempt.span_id AS span_id,
  attempt.n AS attempt,
  attempt.error_type AS error_type,
  attempt.error AS error,
  attempt.fingerprint AS fingerprint,
  coalesce(json_array_length(attempt.parents), 0) AS memory_count,
  attempt.backfilled AS backfilled,
  1 AS recorded,
  attempt.actor AS actor
FROM attempt
WHERE attempt.type = 'task_execution'
UNION ALL
SELECT
  run.kind || '/' || run.name || ':' || task.ref || '@' || attempt.n,
  run.name || ':' || task.ref,
  run.workflow || ':' || task.key,
  task.key,
  coalesce(task.title, task.key),
  run.kind,
  NULL,
  CASE
    WHEN attempt.outcome = 'ok' THEN 'success'
    WHEN attempt.outcome IN ('error', 'timeout', 'lost') THEN 'failed'
    WHEN attempt.outcome IS NULL THEN 'running'
    ELSE 'aborted'
  END,
  strftime('%Y-%m-%dT%H:%M:%fZ', attempt.started_at / 1000 / 1000.0, 'unixepoch'),
  strftime('%Y-%m-%dT%H:%M:%fZ', attempt.ended_at / 1000 / 1000.0, 'unixepoch'),
  attempt.duration_us / 1000,
  attempt.trace_id,
  attempt.span_id,
  attempt.n,
  attempt.error_type,
  attempt.error,
  attempt.fingerprint,
  0,
  0,
  0,
  attempt.actor
FROM attempt
JOIN (
  SELECT
    id,
    run_id,
    key,
    title,
    CASE item WHEN '' THEN key ELSE item || '/' || key END || CASE map_index WHEN -1 THEN '' ELSE '#' || map_index END AS ref
  FROM task) AS task ON task.id = attempt.task_id
JOIN run ON run.id = task.run_id;

-- Every kind of error: how often, when, and what people said of it; `regressed` is one that came back after it was resolved.
CREATE VIEW errors AS
SELECT
  fingerprint,
  error_type,
  example,
  occurrences,
  strftime('%Y-%m-%dT%H:%M:%fZ', first_at / 1000 / 1000.0, 'unixepoch') AS first_seen,
  strftime('%Y-%m-%dT%H:%M:%fZ', last_at / 1000 / 1000.0, 'unixepoch') AS last_seen,
  CASE
    WHEN ignored_at IS NOT NULL THEN 'ignored'
    WHEN resolved_at IS NULL THEN 'open'
    WHEN last_at > resolved_at THEN 'regressed'
    ELSE 'resolved'
  END AS status
FROM error;
