-- Queries for whoever looks for what goes wrong, and for statistics: over executions of both kinds.

-- name: failed
-- What the partial indexes of failures say.
attempt.outcome IN ('error', 'timeout', 'lost')

-- name: failures_lately
-- By attempt_failed; what only is counted has no need of the texts.
SELECT attempt.id, attempt.fingerprint, attempt.started_at, attempt.task_id
FROM attempt
WHERE {failed}
  AND attempt.started_at >= CAST(:since AS BIGINT)
ORDER BY attempt.started_at DESC, attempt.id
LIMIT :limit

-- name: failures_of_task
-- By attempt_failed_task.
SELECT attempt.id, attempt.fingerprint, attempt.started_at, attempt.task_id
FROM attempt
WHERE {failed}
  AND attempt.task_ref = CAST(:task AS TEXT)
  AND attempt.started_at >= CAST(:since AS BIGINT)
ORDER BY attempt.started_at DESC, attempt.id
LIMIT :limit

-- name: recorded_by_row
SELECT {record_columns}
FROM attempt
WHERE attempt.id = :id

-- name: executed_by_row
SELECT {executed_columns}
FROM {executed}
WHERE attempt.id = :id

-- name: label_of_task
-- What attempts of a task are counted under, in all runs of its workflow.
SELECT run.workflow || ':' || task.key
FROM task
JOIN run ON run.id = task.run_id
WHERE task.id = :task_id

-- name: facts
-- Executions of both kinds, with what statistics ask of them. One walk over the table takes a third of what two along the
-- indexes of their types take.
(
  SELECT
    coalesce(attempt.task_ref, run.workflow || ':' || task.key) AS task,
    attempt.trace_id,
    attempt.task_id,
    attempt.n,
    attempt.started_at,
    attempt.duration_us,
    attempt.fingerprint,
    attempt.error_type,
    attempt.error,
    CASE WHEN attempt.outcome = 'ok' THEN 1 ELSE 0 END AS succeeded,
    CASE WHEN {failed} THEN 1 ELSE 0 END AS failed,
    coalesce(attempt.backfilled, 0) AS backfilled,
    CASE WHEN attempt.type IS NULL THEN 0 ELSE 1 END AS recorded,
    {memory_count} AS memory_count
  FROM attempt
  LEFT JOIN task ON task.id = attempt.task_id
  LEFT JOIN run ON run.id = task.run_id
  WHERE coalesce(attempt.type, 'task_execution') = 'task_execution'
    AND attempt.started_at >= CAST(:since AS BIGINT)
    AND (CAST(:task AS TEXT) IS NULL OR coalesce(attempt.task_ref, run.workflow || ':' || task.key) = CAST(:task AS TEXT))
) AS fact

-- name: memory_count
-- How many records an execution stands on.
coalesce(json_array_length(attempt.parents), 0)

-- name: facts_by_task
-- The columns of the value TaskFacts, in its order.
SELECT task, count(*), sum(succeeded), sum(failed), sum(CASE WHEN n > 1 THEN 1 ELSE 0 END), sum(backfilled), sum(recorded),
  count(duration_us), coalesce(sum(duration_us), 0), min(duration_us), max(duration_us), sum(memory_count), max(memory_count),
  min(started_at), max(started_at)
FROM {facts}
GROUP BY task

-- name: durations_by_task
-- Sorted by the database, so that percentiles are counted off while the rows go by.
SELECT task, duration_us
FROM {facts}
WHERE duration_us IS NOT NULL
ORDER BY task, duration_us

-- name: durations
-- The same of all together.
SELECT duration_us
FROM {facts}
WHERE duration_us IS NOT NULL
ORDER BY duration_us

-- name: facts_by_time
-- How many began in each span of time.
SELECT started_at / CAST(:span_us AS BIGINT), count(*), sum(failed)
FROM {facts}
GROUP BY 1
ORDER BY 1

-- name: retried
-- What was tried again, and of how much of it the last attempt succeeded. A trace may have several tasks.
SELECT count(*), sum(last % 2)
FROM (
  SELECT max(2 * n + succeeded) AS last
  FROM {facts}
  WHERE n > 1
  GROUP BY trace_id, task, task_id) AS retried

-- name: failures_by_fingerprint
-- The most frequent first; what a fingerprint looks like is said where errors are counted.
SELECT found.fingerprint, found.occurrences, found.first_at, found.last_at, found.tasks, error.error_type, error.example
FROM (
  SELECT fingerprint, count(*) AS occurrences, min(started_at) AS first_at, max(started_at) AS last_at,
    count(DISTINCT task) AS tasks
  FROM {facts}
  WHERE failed = 1
  GROUP BY fingerprint) AS found
LEFT JOIN error ON error.fingerprint = found.fingerprint
ORDER BY found.occurrences DESC, found.last_at DESC
LIMIT :limit

-- name: newest_without_fingerprint
-- Of failures.
SELECT error_type, error
FROM {facts}
WHERE failed = 1
  AND fingerprint IS NULL
ORDER BY started_at DESC
LIMIT 1

-- name: traces_like
-- Whose ids begin so: of recordings and of runs.
SELECT trace_id
FROM (
  SELECT trace_id
  FROM attempt
  WHERE type IS NOT NULL
    AND trace_id >= CAST(:prefix AS TEXT)
    AND trace_id < CAST(:prefix AS TEXT) || {last_character}
  UNION
  SELECT trace_id
  FROM run
  WHERE trace_id >= CAST(:prefix AS TEXT)
    AND trace_id < CAST(:prefix AS TEXT) || {last_character}) AS found
ORDER BY trace_id
LIMIT :limit

-- name: traces_named
-- Whether there is one of this id.
SELECT 1
FROM run
WHERE trace_id = CAST(:trace_id AS TEXT)
UNION ALL
SELECT 1
FROM attempt
WHERE type IS NOT NULL
  AND trace_id = CAST(:trace_id AS TEXT)
LIMIT 1

-- name: runs_of_trace
SELECT {run_columns}
FROM run
WHERE trace_id = CAST(:trace_id AS TEXT)
ORDER BY id
LIMIT :limit
