-- Queries about executions, whoever executed them: recordings have a type and no task, what Tasktrail executed the reverse.
-- Each kind has indexes of its own, so lists of both are two queries that are merged. Ties go by row id.

-- name: record_columns
-- The columns of the value Record, in its order.
attempt.id, attempt.public_id, attempt.type, attempt.task_ref, attempt.task_slug, attempt.n, attempt.trace_id,
attempt.span_id, attempt.started_at, attempt.ended_at, attempt.duration_us, attempt.outcome, attempt.error_type,
attempt.error, attempt.stack, attempt.fingerprint, attempt.actor, attempt.idempotency_key, attempt.backfilled,
attempt.response, attempt.parents, attempt.session_id, attempt.details, attempt.inputs, attempt.output

-- name: executed_columns
-- Those of an attempt of a task, with what its public names are made of.
attempt.id, attempt.n, attempt.trace_id, attempt.span_id, attempt.started_at, attempt.ended_at, attempt.duration_us,
attempt.outcome, attempt.error_type, attempt.error, attempt.stack, attempt.fingerprint, attempt.actor, attempt.inputs,
attempt.output, run.kind, run.name, task.key, task.item, task.map_index, task.title, before.span_id

-- name: executed
-- Attempts of tasks with their runs.
attempt
JOIN task ON task.id = attempt.task_id
JOIN run ON run.id = task.run_id
LEFT JOIN attempt AS before ON before.id = attempt.retry_of

-- name: execution_status
-- What an attempt's outcome is called in document 001.
CASE
  WHEN attempt.outcome = 'ok' THEN 'success'
  WHEN attempt.outcome IN ('error', 'timeout', 'lost') THEN 'failed'
  WHEN attempt.outcome IS NULL THEN 'running'
  ELSE 'aborted'
END

-- name: behind_cursor
-- A page of a list, the newest start first.
  AND attempt.started_at >= CAST(:since AS BIGINT)
  AND attempt.started_at <= CAST(:before AS BIGINT)
  AND (attempt.started_at < CAST(:before AS BIGINT) OR attempt.id > CAST(:after_id AS BIGINT))

-- name: page_of_executions
-- The rest of a page, the newest start first.
  AND ({execution_status} = CAST(:status AS TEXT) OR CAST(:status AS TEXT) IS NULL)
ORDER BY attempt.started_at DESC, attempt.id
LIMIT :limit

-- name: recorded_page
-- A page of recordings; who says nothing of it did not read it from a file.
{behind_cursor}
  AND (coalesce(attempt.backfilled, 0) = CAST(:backfilled AS BIGINT) OR CAST(:backfilled AS BIGINT) IS NULL)
{page_of_executions}

-- name: add_recording
-- Changes no row when its key or its id is there already.
INSERT INTO attempt (
  n, fence, actor, trace_id, span_id, started_at, ended_at, duration_us, outcome, error_type, error, stack, fingerprint,
  inputs, output, type, public_id, task_ref, task_slug, idempotency_key, backfilled, response, parents, session_id, details)
VALUES (
  :n, 0, :actor, :trace_id, :span_id, :started_at, :ended_at, :duration_us, :outcome, :error_type, :error, :stack,
  :fingerprint, :inputs, :output, :type, :public_id, :task_ref, :task_slug, :idempotency_key, :backfilled, :response,
  :parents, :session_id, :details)
ON CONFLICT DO NOTHING

-- name: recording_of_key
SELECT public_id
FROM attempt
WHERE idempotency_key = CAST(:key AS TEXT)

-- name: recording_by_id
SELECT {record_columns}
FROM attempt
WHERE attempt.public_id = CAST(:id AS TEXT)

-- name: executed_by_number
SELECT {executed_columns}
FROM {executed}
WHERE attempt.task_id = :task_id
  AND attempt.n = :n

-- name: recorded
-- By ix_experiences_type_ts.
SELECT {record_columns}
FROM attempt
WHERE attempt.type = CAST(:type AS TEXT)
{recorded_page}

-- name: recorded_of_task
-- By ix_experiences_task.
SELECT {record_columns}
FROM attempt
WHERE attempt.type = 'task_execution'
  AND attempt.task_ref = CAST(:task AS TEXT)
{recorded_page}

-- name: failed_of_both_kinds
-- By attempt_failed. Who asks for one kind alone walks over all failures of the other.
SELECT attempt.id, attempt.type IS NOT NULL
FROM attempt
WHERE attempt.outcome IN ('error', 'timeout', 'lost')
  AND coalesce(attempt.type, 'task_execution') = 'task_execution'
{recorded_page}

-- name: recorded_failed_of_task
-- By attempt_failed_task.
SELECT {record_columns}
FROM attempt
WHERE {failed}
  AND attempt.type = 'task_execution'
  AND attempt.task_ref = CAST(:task AS TEXT)
{recorded_page}

-- name: recorded_backfilled
-- By attempt_backfilled.
SELECT {record_columns}
FROM attempt
WHERE attempt.backfilled = 1
  AND coalesce(attempt.type, '') = 'task_execution'
{recorded_page}

-- name: executed_lately
-- By attempt_started.
SELECT {executed_columns}
FROM {executed}
WHERE attempt.type IS NULL
{behind_cursor}
{page_of_executions}

-- name: executed_of_task
-- One task has few attempts.
SELECT {executed_columns}
FROM {executed}
WHERE attempt.task_id = :task_id
{behind_cursor}
{page_of_executions}

-- name: recorded_of_trace
SELECT {record_columns}
FROM attempt
WHERE attempt.type IS NOT NULL
  AND attempt.trace_id = CAST(:trace_id AS TEXT)
ORDER BY attempt.n, attempt.started_at, attempt.id
LIMIT :limit

-- name: executed_of_trace
-- Runs have an index of traces, attempts of tasks have none.
SELECT {executed_columns}
FROM run
JOIN task ON task.run_id = run.id
JOIN attempt ON attempt.task_id = task.id
LEFT JOIN attempt AS before ON before.id = attempt.retry_of
WHERE run.trace_id = CAST(:trace_id AS TEXT)
ORDER BY attempt.n, attempt.started_at, attempt.id
LIMIT :limit

-- name: recorded_of_session
SELECT {record_columns}
FROM attempt
WHERE attempt.session_id = CAST(:session_id AS TEXT)
ORDER BY attempt.started_at, attempt.id

-- name: recorded_at
-- What began in one moment; by ix_experiences_task.
SELECT {record_columns}
FROM attempt
WHERE attempt.task_ref = CAST(:task AS TEXT)
  AND attempt.started_at >= CAST(:first AS BIGINT)
  AND attempt.started_at < CAST(:last AS BIGINT)
ORDER BY attempt.started_at, attempt.id

-- name: count_recorded
SELECT count(*)
FROM attempt
WHERE attempt.type = CAST(:type AS TEXT)

-- name: count_executed
SELECT count(*)
FROM attempt
WHERE attempt.type IS NULL

-- name: last_of_trace
-- The newest attempt of a task in a trace that was told of.
SELECT attempt.n, attempt.span_id, {execution_status}
FROM attempt
WHERE attempt.type = 'task_execution'
  AND attempt.trace_id = CAST(:trace_id AS TEXT)
  AND attempt.task_ref = CAST(:task AS TEXT)
ORDER BY attempt.n DESC
LIMIT 1
