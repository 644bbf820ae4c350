-- Probes of executions: how many, how well, how long, what went wrong. They ask the public view alone, so they run as they
-- are in SQLite and in PostgreSQL:
--
--     tasktrail sql --probes > probes.sql
--     sqlite3 -readonly .tasktrail/tasktrail.db < probes.sql
--     psql "$URL" -c 'SET search_path = tasktrail' -f probes.sql
--
-- Each row begins with the name of its probe. A task is what the column `task` says: of what Tasktrail executed, the same
-- step in all runs of its workflow.

-- How many executions stand how.
SELECT 'by status' AS probe, status, count(*) AS executions
FROM executions
GROUP BY status
ORDER BY executions DESC, status;

-- The tasks with the most executions.
SELECT 'by task' AS probe, task, count(*) AS executions, max(started_at) AS last_started
FROM executions
GROUP BY task
ORDER BY executions DESC, task
LIMIT 20;

-- How much of what ended succeeded.
SELECT 'success rate' AS probe, task,
  sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS successes,
  sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failures,
  round(100.0 * sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END) / count(*), 1) AS percent
FROM executions
WHERE status IN ('success', 'failed')
GROUP BY task
ORDER BY percent, task;

-- How long executions take; `tasktrail stats` has percentiles.
SELECT 'duration' AS probe, task, count(*) AS executions,
  round(avg(duration_ms), 1) AS avg_ms, min(duration_ms) AS min_ms, max(duration_ms) AS max_ms
FROM executions
WHERE duration_ms IS NOT NULL
GROUP BY task
ORDER BY avg_ms DESC, task;

-- What failed last.
SELECT 'last failed' AS probe, started_at, task_id, attempt, error_type, fingerprint, trace_id
FROM executions
WHERE status = 'failed'
ORDER BY started_at DESC, id
LIMIT 20;

-- In which ways tasks fail, how often, and when last.
SELECT 'error pattern' AS probe, task, error_type, fingerprint, count(*) AS occurrences, max(started_at) AS last_seen
FROM executions
WHERE status = 'failed'
GROUP BY task, error_type, fingerprint
ORDER BY occurrences DESC, last_seen DESC, task
LIMIT 50;

-- What was tried more than once, and what came of it.
SELECT 'retried' AS probe, trace_id, task_id, max(attempt) AS attempts,
  CASE WHEN max(2 * attempt + CASE WHEN status = 'success' THEN 1 ELSE 0 END) > 2 * max(attempt) THEN 'success' ELSE 'not yet'
  END AS in_the_end
FROM executions
GROUP BY trace_id, task_id
HAVING max(attempt) > 1
ORDER BY attempts DESC, trace_id, task_id
LIMIT 50;

-- The newest executions.
SELECT 'last' AS probe, started_at, task_id, status, attempt, duration_ms
FROM executions
ORDER BY started_at DESC, id
LIMIT 10;

-- On how many records executions stand.
SELECT 'retrieval' AS probe, task, round(avg(memory_count), 1) AS avg_memories, max(memory_count) AS max_memories
FROM executions
GROUP BY task
ORDER BY avg_memories DESC, task;

-- What was read from files long after, and what was told or executed live.
SELECT 'backfilled or live' AS probe, CASE WHEN backfilled = 1 THEN 'backfilled' ELSE 'live' END AS origin,
  count(*) AS executions
FROM executions
GROUP BY origin
ORDER BY origin;
