-- Every query by name, for all databases. An override in <database>.sql says why it differs.
-- `CAST (…)`: where a partial index may serve, or where rows come in the order of an index, SQLite plans a statement anew
-- at every execution when it meets a bare parameter there (measured: 26 against 3 microseconds); an expression is planned
-- once.

-- name: run_columns
-- The columns of the value Run, in its order.
id, kind, name, workflow, status, version, paused, cancelled_at, declared_status, declared_at, declared_error,
n_pending, n_in_progress, n_completed, n_failed, n_blocked, n_skipped, n_cancelled, n_unreachable, n_stopping, n_needs,
worker_id, owner_token, target, definition_id, trace_id, resumes, resumed_at, document_id, metadata,
created_at, started_at, finished_at, updated_at, skipped_meets

-- name: task_columns
-- The columns of the value Task, in its order.
id, run_id, key, item, map_index, position, status, version, unmet, dead_needs, priority, critical, queue, labels,
not_before, attempts, tries, losses, fence, open_attempt, last_outcome, worker_id, lease_token, lease_until,
max_retries, retry, timeout_ms, output, summary, error_type, error, reason, created_at, started_at, completed_at

-- name: attempt_columns
-- The columns of the value Attempt, in its order.
id, task_id, n, fence, worker_id, actor, trace_id, span_id, retry_of, started_at, ended_at, duration_us,
outcome, error_type, error, stack, output, code_version, fingerprint

-- name: event_columns
-- An event with the task it is about; none for the run itself.
event.seq, event.at, event.actor, event.verb, event.from_status, event.to_status, event.attempt,
event.changes, event.note, task.key, task.item, task.map_index, task.title

-- name: run_by_id
SELECT {run_columns}
FROM run
WHERE id = :id

-- name: runs_by_name
-- A public id is unique per kind, so there may be several.
SELECT {run_columns}
FROM run
WHERE name = CAST(:name AS TEXT)
  AND (kind = :kind OR :kind IS NULL)
ORDER BY id DESC

-- name: plan_by_name
-- Every tool of an agent begins with it.
SELECT {run_columns}
FROM run
WHERE kind = 'plan'
  AND name = :name

-- name: stuck_of_plan
-- Pending tasks that wait for what cannot happen, or for what does not exist. Where the run's counter says that there is
-- none of the former, they are not looked for; the plus keeps the index of tasks out, since the latter are few.
SELECT id, key, position
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'pending'
  AND dead_needs > 0
  AND CAST(:n_unreachable AS BIGINT) > 0
UNION
SELECT task.id, task.key, task.position
FROM need
JOIN task ON task.id = need.task_id
WHERE need.needed_id IS NULL
  AND +task.run_id = CAST(:run_id AS BIGINT)
  AND task.status = 'pending'
ORDER BY position

-- name: entangled_of_plan
-- What pending tasks that wait need of each other: where that leads round in a circle, none of them can start.
SELECT task.key, needed.key
FROM task
JOIN need ON need.task_id = task.id
JOIN task AS needed ON needed.id = need.needed_id
WHERE task.run_id = CAST(:run_id AS BIGINT)
  AND task.status = 'pending'
  AND task.unmet > 0
  AND needed.status = 'pending'
  AND needed.unmet > 0
ORDER BY task.position, need.position

-- name: page_of_plan
-- Tasks behind a place of the list that all filters let through; without those that were taken out of it.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
  AND position > :after
  AND (status = :status OR :status IS NULL)
  AND (CAST(:pattern AS TEXT) IS NULL
    OR lower(CASE item WHEN '' THEN key ELSE item || '/' || key END
      || ' ' || coalesce(title, '') || ' ' || coalesce(summary, '')) LIKE :pattern ESCAPE '!')
  AND (reason IS NULL OR reason <> :removed)
ORDER BY position
LIMIT :limit

-- name: page_of_tasks
-- Tasks of a JSON list of runs that all filters let through, run by run in the order of their lists; without those that
-- were taken out. The place is that of the last task of the page before.
SELECT {task_columns}
FROM task
WHERE run_id IN ({each_id})
  AND run_id >= :run_id
  AND (run_id > :run_id OR position > :position OR (position = :position AND map_index > :map_index))
  AND (status = :status OR :status IS NULL)
  AND (CAST(:pattern AS TEXT) IS NULL
    OR lower(CASE item WHEN '' THEN key ELSE item || '/' || key END
      || ' ' || coalesce(title, '') || ' ' || coalesce(summary, '')) LIKE :pattern ESCAPE '!')
  AND (reason IS NULL OR reason <> :removed)
ORDER BY run_id, position, map_index
LIMIT :limit

-- name: counts_of_runs
-- How many tasks of a JSON list of runs stand at each status; without those that were taken out.
SELECT status, count(*)
FROM task
WHERE run_id IN ({each_id})
  AND (reason IS NULL OR reason <> :removed)
GROUP BY status

-- name: runs_of_workflow
-- The newest first.
SELECT {run_columns}
FROM run
WHERE workflow = :workflow
ORDER BY id DESC
LIMIT :limit

-- name: workflow_target
-- Where the code of a workflow's newest run is found.
SELECT target
FROM run
WHERE workflow = :workflow
  AND kind = 'dag'
  AND definition_id IS NOT NULL
ORDER BY id DESC
LIMIT 1

-- name: workflow_names
-- Workflows of which somebody has begun a run.
SELECT DISTINCT name
FROM definition
WHERE kind = 'workflow'
ORDER BY name

-- name: runs_page
-- The newest first; before is the id of the last run of the page before.
SELECT {run_columns}
FROM run
WHERE (kind = :kind OR :kind IS NULL)
  AND (workflow = :workflow OR :workflow IS NULL)
  AND (status = :status OR :status IS NULL)
  AND (id < :before OR :before IS NULL)
ORDER BY id DESC
LIMIT :limit

-- name: runs_with_failures
-- Of runs that code executes those in which something stands failed and that nobody called off.
SELECT {run_columns}
FROM run
WHERE n_failed > 0
  AND cancelled_at IS NULL
  AND kind IN ('dag', 'job')
  AND (workflow = :workflow OR :workflow IS NULL)
ORDER BY id

-- name: names_taken
-- Which of the names that start alike are taken.
SELECT name
FROM run
WHERE kind = :kind
  AND name >= :prefix
  AND name < :prefix || {last_character}

-- name: last_event
-- Where the history ends now.
SELECT coalesce(max(seq), 0)
FROM event

-- name: last_position
-- New tasks go behind it.
SELECT coalesce(max(position), 0)
FROM task
WHERE run_id = :run_id

-- name: last_task
-- The one at the end of a run's list.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
ORDER BY position DESC
LIMIT 1

-- name: add_run
INSERT INTO run (
  id, kind, name, workflow, target, definition_id, trace_id, metadata, n_pending, n_needs, document_id,
  created_at, updated_at)
VALUES (
  :id, :kind, :name, :workflow, :target, :definition_id, :trace_id, :metadata, :n_pending, :n_needs, :document_id,
  :at, :at)

-- name: add_task
INSERT INTO task (
  id, run_id, key, item, map_index, position, unmet, dead_needs, priority, critical, queue, labels,
  max_retries, retry, timeout_ms, code_version, title, metadata, created_at)
VALUES (
  :id, :run_id, :key, :item, :map_index, :position, :unmet, :dead_needs, :priority, :critical, :queue, :labels,
  :max_retries, :retry, :timeout_ms, :code_version, :title, :metadata, :at)

-- name: add_need
INSERT INTO need (task_id, position, needed_key, needed_id, optional)
VALUES (:task_id, :position, :needed_key, :needed_id, :optional)

-- name: drop_needs
DELETE FROM need
WHERE task_id = :task_id

-- name: add_definition
-- Once per content: the version is the hash of the specification.
INSERT INTO definition (kind, name, version, spec, spec_hash, created_at)
VALUES (:kind, :name, :hash, :spec, :hash, :at)
ON CONFLICT (kind, name, version) DO NOTHING

-- name: definition_by_hash
SELECT id, spec
FROM definition
WHERE kind = :kind
  AND name = :name
  AND version = :hash

-- name: definition_by_id
SELECT name, spec, spec_hash
FROM definition
WHERE id = :id

-- name: task_by_id
SELECT {task_columns}
FROM task
WHERE id = :id

-- name: mapped_tasks
-- What a step was expanded to, in order, with the item of each.
SELECT id, map_index, metadata
FROM task
WHERE key = :key
  AND run_id = :run_id
  AND item = ''
  AND map_index >= 0
ORDER BY map_index

-- name: mapped_outputs
SELECT output
FROM task
WHERE key = :key
  AND run_id = :run_id
  AND item = ''
  AND map_index >= 0
  AND status <> 'skipped'
ORDER BY map_index

-- name: result_for
-- The newest good result of the same code and inputs that is not too old.
SELECT attempt.output, attempt.task_id, attempt.n
FROM reuse
JOIN attempt ON attempt.task_id = reuse.task_id AND attempt.n = reuse.n
WHERE reuse.key = :key
  AND attempt.outcome = 'ok'
  AND attempt.ended_at >= :since
ORDER BY attempt.ended_at DESC
LIMIT 1

-- name: works_on
INSERT INTO reuse (key, task_id, n)
VALUES (:key, :task_id, :n)
ON CONFLICT DO NOTHING

-- name: free_slots
-- A limit is counted from what is in progress: slots of tasks that ended, however they did, are nobody's.
DELETE FROM slot
WHERE name = :name
  AND task_id NOT IN (SELECT id FROM task WHERE id = slot.task_id AND status = 'in_progress')

-- name: slots_taken
SELECT count(*)
FROM slot
WHERE name = :name

-- name: holders_of_limit
-- Who has a place of a limit, in all runs.
SELECT {task_columns}
FROM task
WHERE id IN (SELECT task_id FROM slot WHERE name = :name)
  AND status = 'in_progress'
ORDER BY run_id, position, map_index

-- name: take_slot
INSERT INTO slot (name, task_id)
VALUES (:name, :task_id)
ON CONFLICT DO NOTHING

-- name: task_by_key
SELECT {task_columns}
FROM task
WHERE key = :key
  AND run_id = :run_id
  AND item = :item
  AND map_index = :map_index

-- name: tasks_by_keys
-- Steps by a JSON list of their keys; no parts.
SELECT {task_columns}
FROM task
WHERE key IN ({each_name})
  AND run_id = :run_id
  AND item = ''
  AND map_index = -1

-- name: tasks_by_ids
-- By a JSON list of their row ids, in the order of their list.
SELECT {task_columns}
FROM task
WHERE id IN ({each_id})
ORDER BY +position, id

-- name: tasks_of_run
-- A step comes before its parts, which have its position.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
ORDER BY position, id

-- name: steps_of_run
-- Its tasks without the parts of mapped steps, which have their step's key.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
  AND map_index < 0
ORDER BY position, id

-- name: tasks_of_run_in
-- Those in one of the statuses of a JSON list.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
  AND status IN ({each_status})
ORDER BY position

-- name: used_budgets_of_run
-- Pending tasks that do not have a fresh budget.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
  AND status = 'pending'
  AND (tries > 0 OR losses > 0 OR not_before IS NOT NULL OR last_outcome IS NOT NULL)
ORDER BY position

-- name: states_of_run
-- What an execution needs to know of each step before it starts, and no more; parts of mapped steps have their keys.
SELECT id, key, status, unmet, item
FROM task
WHERE run_id = :run_id
  AND map_index < 0
ORDER BY position

-- name: versions_of_run
-- What tells which tasks changed since a document was written; a run has up to 20,000 of them then.
SELECT id, key, version, item
FROM task
WHERE run_id = :run_id
  AND map_index < 0
ORDER BY position

-- name: active_of_run
SELECT {task_columns}
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'in_progress'
ORDER BY priority, position

-- name: claimed_of_run
-- What agents hold of a plan; the condition of the index `task_live` word by word.
SELECT {task_columns}
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'in_progress'
  AND (status = 'in_progress' OR (status = 'pending' AND unmet = 0 AND not_before IS NULL))
  AND lease_token IS NOT NULL
ORDER BY priority, position

-- name: needs_of_run
-- In the order of the tasks and of their needs.
SELECT need.task_id, need.needed_key, need.needed_id, need.optional
FROM need
JOIN task ON task.id = need.task_id
WHERE task.run_id = :run_id
ORDER BY task.position, need.position

-- name: needs_of_task
-- With what the needed tasks are and gave.
SELECT need.needed_key, need.optional, need.needed_id, task.status, task.output, task.dead_needs
FROM need
LEFT JOIN task ON task.id = need.needed_id
WHERE need.task_id = CAST(:task_id AS BIGINT)
ORDER BY need.position

-- name: needs_of_tasks
-- What each of a JSON list of tasks needs, in the order of its needs.
SELECT task_id, needed_key
FROM need
WHERE task_id IN ({each_id})
ORDER BY task_id, position

-- name: needs_are_newer
-- Of a completed task: something that it needs is not done, or was done after it.
(task.unmet > 0 OR EXISTS (
  SELECT 1
  FROM need
  JOIN task AS needed ON needed.id = need.needed_id
  WHERE need.task_id = task.id
    AND needed.status = 'completed'
    AND needed.completed_at > task.completed_at))

-- name: item_is_newer
-- Of a completed task and its item: that became another one since the attempt began that completed the task, or since
-- somebody said that it is.
item.changed_at > coalesce(
  (SELECT attempt.started_at
  FROM attempt
  WHERE attempt.task_id = task.id
    AND attempt.n = task.attempts
    AND attempt.outcome = 'ok'
    AND attempt.ended_at >= task.completed_at),
  task.completed_at)

-- name: stale_of_run
SELECT task.id
FROM task
WHERE task.run_id = :run_id
  AND task.status = 'completed'
  AND {needs_are_newer}

-- name: and_what_stands_on_it
-- Of what is stale: what needs it and is completed is stale, too.
UNION
SELECT task.id
FROM stale
JOIN need ON need.needed_id = stale.id
JOIN task ON task.id = need.task_id
WHERE task.status = 'completed'

-- name: stale_with_what_stands_on_it
-- Of a run; without tasks of removed items.
WITH RECURSIVE stale (id) AS (
  SELECT id
  FROM (
    {stale_of_run}
    UNION
    SELECT task.id
    FROM item
    CROSS JOIN task
    WHERE item.run_id = :run_id
      AND item.changed_at IS NOT NULL
      AND task.key IN ({keys_of_cells})
      AND task.run_id = item.run_id
      AND task.item = item.name
      AND task.status = 'completed'
      AND {item_is_newer}) AS outdated
  {and_what_stands_on_it})
SELECT task.id
FROM stale
JOIN task ON task.id = stale.id
WHERE {is_there}

-- name: outputs_of_run
-- By step; that of a mapped one is the list of its parts'.
SELECT key, output
FROM task
WHERE run_id = :run_id
  AND map_index < 0
  AND status = 'completed'
ORDER BY position

-- name: ready_tasks
-- What the owner of a run may start now: the most urgent first, ties by position. The index `task_live` serves only a
-- query that repeats its condition word by word.
SELECT {task_columns}
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'pending'
  AND unmet = 0
  AND not_before IS NULL
  AND (status = 'in_progress' OR (status = 'pending' AND unmet = 0 AND not_before IS NULL))
  AND (CAST(:without AS TEXT) IS NULL OR key NOT IN ({each_key_without}))
ORDER BY priority, position
LIMIT CAST(:limit AS BIGINT)

-- name: pending_tasks
-- What is pending of a run, whatever it waits for: the most urgent first.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
  AND status = 'pending'
ORDER BY priority, position
LIMIT :limit

-- name: due_tasks
-- The same for tasks whose back-off is over.
SELECT {task_columns}
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'pending'
  AND not_before IS NOT NULL
  AND not_before <= CAST(:now AS BIGINT)
  AND unmet = 0
  AND (CAST(:without AS TEXT) IS NULL OR key NOT IN ({each_key_without}))
ORDER BY not_before
LIMIT CAST(:limit AS BIGINT)

-- name: ready_of_items
-- What may start of the cells of some items, `` for the group's own, with those whose back-off is over.
SELECT {task_columns}
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'pending'
  AND unmet = 0
  AND (not_before IS NULL OR not_before <= CAST(:now AS BIGINT))
  AND item IN ({each_item})
  AND (CAST(:without AS TEXT) IS NULL OR key NOT IN ({each_key_without}))
ORDER BY priority, position
LIMIT CAST(:limit AS BIGINT)

-- name: is_taken
-- Whether the worker that asks takes a task: it passes over steps that wait for a limit, `RUN:KEY` by row id, and runs
-- whose code it does not have, `RUN`.
(CAST(:passed_over AS TEXT) IS NULL OR (
  CAST(run_id AS TEXT) NOT IN ({each_passed_over})
  AND CAST(run_id AS TEXT) || ':' || key NOT IN ({each_passed_over})))

-- name: is_open
-- Of a task's run: new steps may start in it. The same is asked of the run again under its lock.
EXISTS (
  SELECT 1
  FROM run
  WHERE run.id = task.run_id
    AND run.owner_token IS NULL
    AND run.paused = 0
    AND run.cancelled_at IS NULL
    AND (run.n_stopping = 0 OR run.kind NOT IN ('dag', 'job')))

-- name: pooled_ready
-- What a worker that serves a queue may take, of all runs: the most urgent first, the oldest of those.
SELECT {task_columns}
FROM task
WHERE queue = CAST(:queue AS TEXT)
  AND status = 'pending'
  AND unmet = 0
  AND not_before IS NULL
  AND {has_labels}
  AND {is_taken}
  AND {is_open}
ORDER BY priority, id
LIMIT CAST(:limit AS BIGINT)
{skip_held}

-- name: pooled_due
-- The same for tasks whose back-off is over.
SELECT {task_columns}
FROM task
WHERE queue = CAST(:queue AS TEXT)
  AND status = 'pending'
  AND not_before IS NOT NULL
  AND not_before <= CAST(:now AS BIGINT)
  AND unmet = 0
  AND {has_labels}
  AND {is_taken}
  AND {is_open}
ORDER BY not_before
LIMIT CAST(:limit AS BIGINT)
{skip_held}

-- name: next_pooled_due
-- When the first task of a queue that waits for its time may start.
SELECT min(not_before)
FROM task
WHERE queue = CAST(:queue AS TEXT)
  AND status = 'pending'
  AND not_before IS NOT NULL

-- name: pooled_task_of_run
-- Whether workers execute a run: all of its tasks are in a queue then, or none is.
SELECT 1
FROM (SELECT queue FROM task WHERE run_id = :run_id LIMIT 1) AS any_of_them
WHERE queue IS NOT NULL

-- name: pooled_cell_of_run
-- The same of a matrix: what nobody said how to execute is in no queue.
SELECT 1
FROM task
WHERE run_id = :run_id
  AND queue IS NOT NULL
LIMIT 1

-- name: queues_of_run
-- The queues of what is not finished of a run.
SELECT DISTINCT queue
FROM task
WHERE run_id = :run_id
  AND queue IS NOT NULL
  AND status IN ('pending', 'in_progress', 'blocked')

-- name: unfinished_pooled
-- Whether anything of a queue is still to come: something that runs, waits for its time or for others to end.
SELECT 1
FROM task
JOIN run ON run.id = task.run_id
WHERE task.queue = CAST(:queue AS TEXT)
  AND run.status = 'running'
  AND task.status IN ('pending', 'in_progress', 'blocked')
LIMIT 1

-- name: held_by_workers
-- What is in progress, with the worker that has it; runs in which nothing is are passed over.
SELECT {task_columns}
FROM task
WHERE run_id IN (SELECT id FROM run WHERE n_in_progress > 0)
  AND status = 'in_progress'
  AND worker_id IS NOT NULL

-- name: next_due
-- When the first task that waits for its time may start.
SELECT min(not_before)
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND status = 'pending'
  AND not_before IS NOT NULL
  AND unmet = 0

-- name: move_task
-- The one query that sets a task's status. A claim's finish is guarded by its fence, all else by the version.
UPDATE task
SET status = :status,
    version = version + 1,
    not_before = :not_before,
    attempts = :attempts,
    tries = :tries,
    losses = :losses,
    fence = :fence,
    open_attempt = :open_attempt,
    last_outcome = :last_outcome,
    worker_id = :worker_id,
    lease_token = :lease_token,
    lease_until = :lease_until,
    output = :output,
    summary = :summary,
    error_type = :error_type,
    error = :error,
    reason = :reason,
    started_at = :started_at,
    completed_at = :completed_at
WHERE id = :id
  AND fence = :was_fence
  AND status = :was_status
  AND (:held OR version = :was_version)
RETURNING dead_needs, critical

-- name: place_task
-- Where a task stands in its list is nothing that it is or does.
UPDATE task
SET position = :position
WHERE id = :id

-- name: renew_claim
-- A lease is no history, so that no version tells of it.
UPDATE task
SET lease_token = :token,
    lease_until = :until
WHERE id = :id
  AND status = 'in_progress'
  AND lease_token = :was
RETURNING id

-- name: edit_task
-- What a task is, not where it stands.
UPDATE task
SET version = version + 1,
    critical = :critical,
    priority = :priority,
    max_retries = :max_retries,
    retry = :retry,
    timeout_ms = :timeout_ms,
    queue = :queue,
    labels = :labels,
    title = coalesce(:title, title),
    metadata = coalesce(:metadata, metadata)
WHERE id = :id
  AND version = :was_version

-- name: redefine_task
-- What a task is, exactly so; beside a move in the same transaction, whose version counts.
UPDATE task
SET critical = :critical,
    priority = :priority,
    max_retries = :max_retries,
    retry = :retry,
    timeout_ms = :timeout_ms,
    queue = :queue,
    labels = :labels,
    title = :title,
    metadata = :metadata
WHERE id = :id

-- name: set_metadata
-- Beside a move in the same transaction, whose version counts.
UPDATE task
SET metadata = :metadata
WHERE id = :id

-- name: code_of_run
-- What its steps were executed by when it was last taken up; parts have the code of their step.
SELECT id, key, status, code_version
FROM task
WHERE run_id = :run_id
  AND map_index < 0

-- name: set_code
UPDATE task
SET code_version = :code_version
WHERE id = :id

-- name: note_progress
UPDATE task
SET progress_done = :done,
    progress_total = :total
WHERE id = :id
  AND fence = :fence
  AND status = 'in_progress'

-- name: open_attempt
-- It is a retry of the attempt before it, if there was one.
INSERT INTO attempt (task_id, n, fence, worker_id, actor, trace_id, span_id, started_at, code_version, retry_of)
VALUES (:task_id, :n, :fence, :worker_id, :actor, :trace_id, :span_id, :at, :code_version,
  (SELECT id FROM attempt WHERE task_id = :task_id AND n = CAST(:n AS BIGINT) - 1))

-- name: close_attempt
-- Nobody knows how long a lost attempt worked.
UPDATE attempt
SET ended_at = :at,
    duration_us = CASE WHEN :outcome = 'lost' THEN NULL ELSE coalesce(:duration_us, CASE WHEN :at > started_at THEN :at - started_at ELSE 0 END) END,
    outcome = :outcome,
    error_type = :error_type,
    error = :error,
    stack = :stack,
    output = :output,
    fingerprint = :fingerprint
WHERE task_id = :task_id
  AND n = :n
  AND ended_at IS NULL

-- name: see_error
-- An error was seen again, or for the first time. What is read from old files may be older than what is known.
INSERT INTO error (fingerprint, error_type, example, occurrences, first_at, last_at)
VALUES (:fingerprint, :error_type, :example, :times, :first_at, :last_at)
ON CONFLICT (fingerprint) DO UPDATE
SET error_type = excluded.error_type,
    example = excluded.example,
    occurrences = error.occurrences + excluded.occurrences,
    first_at = CASE WHEN excluded.first_at < error.first_at THEN excluded.first_at ELSE error.first_at END,
    last_at = CASE WHEN excluded.last_at > error.last_at THEN excluded.last_at ELSE error.last_at END

-- name: error_columns
-- The columns of the value KnownError, in its order; where it stands is said by the public view.
error.fingerprint, error.error_type, error.example, error.occurrences, error.first_at, error.last_at,
error.resolved_at, error.ignored_at, error.note, errors.status

-- name: errors_like
-- Those whose fingerprint begins so.
SELECT {error_columns}
FROM error
JOIN errors ON errors.fingerprint = error.fingerprint
WHERE error.fingerprint >= CAST(:prefix AS TEXT)
  AND error.fingerprint < CAST(:prefix AS TEXT) || {last_character}
ORDER BY error.fingerprint
LIMIT :limit

-- name: errors_page
-- What was seen last first; without a status all but what nobody wants to hear of. The place is that of the last one of the
-- page before.
SELECT {error_columns}
FROM error
JOIN errors ON errors.fingerprint = error.fingerprint
WHERE (errors.status = :status OR (CAST(:status AS TEXT) IS NULL AND errors.status <> 'ignored'))
  AND error.last_at >= :since
  AND (CAST(:before AS BIGINT) IS NULL OR error.last_at < :before
    OR (error.last_at = :before AND error.fingerprint > :prefix))
ORDER BY error.last_at DESC, error.fingerprint
LIMIT :limit

-- name: errors_top
-- The most frequent first, of what was seen lately; the place is that of the last one of the page before.
SELECT {error_columns}
FROM error
JOIN errors ON errors.fingerprint = error.fingerprint
WHERE errors.status <> 'ignored'
  AND error.last_at >= :since
  AND (CAST(:fewer AS BIGINT) IS NULL OR error.occurrences < :fewer
    OR (error.occurrences = :fewer AND error.fingerprint > :prefix))
ORDER BY error.occurrences DESC, error.fingerprint
LIMIT :limit

-- name: judge_error
-- What people say of an error.
UPDATE error
SET resolved_at = :resolved_at,
    ignored_at = :ignored_at,
    note = :note
WHERE fingerprint = :fingerprint

-- name: failures_of_error
-- The newest first, each with the task that failed; a recorded execution has none.
SELECT attempt.id, attempt.n, attempt.started_at, attempt.trace_id, attempt.task_ref,
  task.id, task.run_id, task.key, task.item, task.map_index, run.name
FROM attempt
LEFT JOIN task ON task.id = attempt.task_id
LEFT JOIN run ON run.id = task.run_id
WHERE attempt.fingerprint = CAST(:fingerprint AS TEXT)
ORDER BY attempt.started_at DESC
LIMIT CAST(:limit AS BIGINT)

-- name: next_success
-- The first attempt of a task that succeeded after one that failed; among the next ones, however many there are.
SELECT n, ended_at, actor
FROM attempt
WHERE task_id = CAST(:task_id AS BIGINT)
  AND n > CAST(:n AS BIGINT)
  AND n <= CAST(:n AS BIGINT) + CAST(:limit AS BIGINT)
  AND outcome = 'ok'
ORDER BY n
LIMIT 1

-- name: next_success_of_trace
-- Of recorded executions: that of the same task in the same trace.
SELECT n, ended_at, actor, response
FROM attempt
WHERE trace_id = CAST(:trace_id AS TEXT)
  AND coalesce(task_ref, '') = CAST(:name AS TEXT)
  AND type IS NOT NULL
  AND outcome = 'ok'
  AND started_at >= CAST(:after AS BIGINT)
ORDER BY started_at
LIMIT 1

-- name: next_success_of_ref
-- Of recorded executions: that of the same task, among the next ones.
SELECT n, ended_at, actor, response
FROM (
  SELECT n, started_at, ended_at, actor, response, outcome
  FROM attempt
  WHERE task_ref = CAST(:name AS TEXT)
    AND started_at > CAST(:after AS BIGINT)
  ORDER BY started_at
  LIMIT CAST(:limit AS BIGINT)) AS later
WHERE outcome = 'ok'
ORDER BY started_at
LIMIT 1

-- name: uncounted_failures
-- Errors that more attempts have than were counted, for the proof of a store.
SELECT attempt.fingerprint, count(*), coalesce(min(error.occurrences), 0)
FROM attempt
LEFT JOIN error ON error.fingerprint = attempt.fingerprint
WHERE attempt.fingerprint IS NOT NULL
GROUP BY attempt.fingerprint
HAVING count(*) > coalesce(min(error.occurrences), 0)
ORDER BY attempt.fingerprint

-- name: add_output
INSERT INTO output (task_id, attempt, position, length, at, lines)
VALUES (:task_id, :attempt, :position, :length, :at, :lines)

-- name: drop_output
-- Leave out the middle of what an attempt printed: pieces that lie between two positions.
DELETE FROM output
WHERE task_id = :task_id
  AND attempt = :attempt
  AND position >= :from
  AND position + length <= :to

-- name: output_columns
-- A piece of output with the task that printed it.
output.id, output.attempt, output.position, output.length, output.at, output.lines, task.key, task.item, task.map_index,
task.title

-- name: output_of_attempt
-- The pieces in order, from a row id on.
SELECT {output_columns}
FROM output
JOIN task ON task.id = output.task_id
WHERE output.task_id = :task_id
  AND output.attempt = :attempt
  AND output.id > :after
ORDER BY output.id
LIMIT :limit

-- name: attempts_with_output
-- Which attempts of a run printed something, by step, the oldest first.
SELECT output.task_id, output.attempt, task.key
FROM output
JOIN task ON task.id = output.task_id
WHERE task.run_id = :run_id
GROUP BY output.task_id, output.attempt, task.key, task.position
ORDER BY task.position, output.attempt

-- name: output_of_run
-- What all steps printed, in the order in which it was stored.
SELECT {output_columns}
FROM output
JOIN task ON task.id = output.task_id
WHERE task.run_id = :run_id
  AND output.id > :after
ORDER BY output.id
LIMIT :limit

-- name: newer_output_of_run
-- For those who follow a run: the plus keeps the index of tasks out, since what is new is little.
SELECT {output_columns}
FROM output
JOIN task ON task.id = output.task_id
WHERE +task.run_id = :run_id
  AND output.id > :after
ORDER BY output.id
LIMIT :limit

-- name: attempts_of_task
SELECT {attempt_columns}
FROM attempt
WHERE task_id = CAST(:task_id AS BIGINT)
ORDER BY n

-- name: attempts_of_run
-- Of each task in turn, the oldest first.
SELECT {attempt_columns}
FROM attempt
WHERE task_id IN (SELECT id FROM task WHERE run_id = :run_id)
ORDER BY task_id, n

-- name: failed_attempts_of_run
-- Of each task in turn, the oldest first.
SELECT {attempt_columns}
FROM attempt
WHERE task_id IN (SELECT id FROM task WHERE run_id = :run_id)
  AND outcome IN ('error', 'timeout')
ORDER BY task_id, n

-- name: durations_of_run
-- Milliseconds that the attempts of each task took together, of those whose duration is known.
SELECT attempt.task_id, CAST(sum(attempt.duration_us) AS BIGINT) / 1000
FROM attempt
JOIN task ON task.id = attempt.task_id
WHERE task.run_id = :run_id
  AND attempt.duration_us IS NOT NULL
GROUP BY attempt.task_id

-- name: details_of_run
-- What only a closer look at a task needs.
SELECT id, title, metadata, progress_done, progress_total
FROM task
WHERE run_id = :run_id
  AND (title IS NOT NULL OR metadata IS NOT NULL OR progress_done IS NOT NULL)

-- name: titles_of_parts
-- What the parts of mapped steps are called.
SELECT id, title
FROM task
WHERE run_id = :run_id
  AND map_index >= 0
  AND title IS NOT NULL

-- name: details_of_task
SELECT id, title, metadata, progress_done, progress_total
FROM task
WHERE id = :id

-- name: details_of_tasks
-- Of a JSON list of tasks.
SELECT id, title, metadata
FROM task
WHERE id IN ({each_id})

-- name: add_event
INSERT INTO event (at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes, note)
VALUES (:at, :actor, :run_id, :task_id, :verb, :from_status, :to_status, :attempt, :changes, :note)

-- name: events_of_run
-- The oldest first.
SELECT {event_columns}
FROM event
LEFT JOIN task ON task.id = event.task_id
WHERE event.run_id = :run_id
  AND event.seq > :after
ORDER BY event.seq
LIMIT :limit

-- name: told_columns
-- The columns of the value Told, in its order.
seq, run_id, task_id, verb, from_status, to_status, attempt, changes, at, actor

-- name: told
-- Of a run: what belongs to none is no change of a task.
SELECT {told_columns}
FROM event
WHERE seq = :seq
  AND run_id IS NOT NULL

-- name: told_of_run
-- What happened in a run between two events.
SELECT {told_columns}
FROM event
WHERE run_id = :run_id
  AND seq > :after
  AND (seq < :before OR CAST(:before AS BIGINT) IS NULL)
ORDER BY seq

-- name: told_of_task
-- From an event on.
SELECT {told_columns}
FROM event
WHERE run_id = :run_id
  AND task_id = :task_id
  AND seq >= :first
ORDER BY seq

-- name: told_of_actor
-- In one run, or in all.
SELECT {told_columns}
FROM event
WHERE actor = :actor
  AND at >= :since
  AND run_id IS NOT NULL
  AND (run_id = :run_id OR CAST(:run_id AS BIGINT) IS NULL)
ORDER BY seq

-- name: batch_from
-- The first batch of a run from an event on.
SELECT {told_columns}
FROM event
WHERE run_id = :run_id
  AND verb = 'batch'
  AND seq >= :seq
ORDER BY seq
LIMIT 1

-- name: starts_of_dependants
-- Attempts of those who need a task that began after an event.
SELECT event.seq, event.task_id, event.actor, task.key, task.item, task.map_index
FROM need
JOIN task ON task.id = need.task_id
JOIN event ON event.run_id = task.run_id AND event.task_id = task.id
WHERE need.needed_id = :id
  AND event.seq > :after
  AND event.verb IN ('start', 'restart')
ORDER BY event.seq

-- name: ids_of_run
-- In the order in which they were added.
SELECT id
FROM task
WHERE run_id = :run_id
ORDER BY id

-- name: events_of_tasks
-- What happened to each of a JSON list of tasks of a run, the oldest first; of what takes others back, which.
SELECT task_id, at, actor, verb, from_status, to_status, note, seq,
  CASE WHEN verb IN ('undo', 'edit') THEN changes END
FROM event
WHERE run_id = CAST(:run_id AS BIGINT)
  AND task_id IN ({each_id})
ORDER BY seq

-- name: newer_events_of_run
-- For those who follow a run: the plus keeps the index out, since the log's end is short and a run's history is not.
SELECT {event_columns}
FROM event
LEFT JOIN task ON task.id = event.task_id
WHERE +event.run_id = :run_id
  AND event.seq > :after
ORDER BY event.seq
LIMIT :limit

-- name: events_between
-- For readers of the log, of all runs and of none, or of one run, or of one task.
SELECT {event_columns}, run.id, run.kind, run.name
FROM event
LEFT JOIN run ON run.id = event.run_id
LEFT JOIN task ON task.id = event.task_id
WHERE event.seq > :after
  AND event.seq <= :until
  AND (+event.run_id = :run_id OR :run_id IS NULL)
  AND (+event.task_id = :task_id OR :task_id IS NULL)
  AND (run.id IS NOT NULL OR event.run_id IS NULL)
ORDER BY event.seq
LIMIT :limit

-- name: reader_holder
-- The worker that reads under a name, in the order of columns by which it is asked for everywhere.
SELECT worker.id, worker.name, worker.host, worker.pid, worker.boot_id, worker.lock_name
FROM reader
LEFT JOIN worker ON worker.id = reader.worker_id
WHERE reader.name = :name

-- name: reader_place
SELECT seq, worker_id
FROM reader
WHERE name = :name

-- name: take_reader
-- No row: somebody else took it meanwhile.
INSERT INTO reader (name, worker_id)
VALUES (:name, :worker_id)
ON CONFLICT (name) DO UPDATE
SET worker_id = excluded.worker_id
WHERE coalesce(reader.worker_id, 0) = coalesce(CAST(:was AS BIGINT), 0)
RETURNING name

-- name: leave_reader
UPDATE reader
SET worker_id = NULL
WHERE name = :name
  AND worker_id = :worker_id

-- name: move_reader
UPDATE reader
SET seq = :seq
WHERE name = :name
  AND worker_id = :worker_id
  AND seq = :was

-- name: lower_readers
-- The newest events were removed; a SQLite file gives their numbers again.
UPDATE reader
SET seq = (SELECT coalesce(max(event.seq), 0) FROM event)
WHERE seq > (SELECT coalesce(max(event.seq), 0) FROM event)

-- name: same_event
-- Whether an event is there: its moment tells it from others of the same task.
SELECT 1
FROM event
WHERE (run_id = :run_id OR (run_id IS NULL AND CAST(:run_id AS BIGINT) IS NULL))
  AND (task_id = :task_id OR (task_id IS NULL AND CAST(:task_id AS BIGINT) IS NULL))
  AND at = :at
  AND verb = :verb
  AND actor = :actor
LIMIT 1

-- name: fold_events
-- The history in order, for the proof that it folds to the rows.
SELECT seq, run_id, task_id, verb, from_status, to_status, attempt, changes
FROM event
WHERE run_id = :run_id
ORDER BY seq

-- name: meet_one
-- A task is done: whoever needs it waits for one task less. Nobody needs the same task twice.
UPDATE task
SET unmet = unmet - 1
WHERE id IN (SELECT task_id FROM need WHERE needed_id = :id)

-- name: meet_many
-- The same for a JSON list of ids: a join that waits for all of them is touched once.
UPDATE task
SET unmet = unmet - c.n
FROM (
  SELECT task_id, count(*) AS n
  FROM need
  WHERE needed_id IN ({each_id})
  GROUP BY task_id) AS c
WHERE task.id = c.task_id

-- name: dependants
-- How often and how somebody needs this task.
SELECT need.task_id, need.optional, task.run_id, task.status, task.dead_needs
FROM need
JOIN task ON task.id = need.task_id
WHERE need.needed_id = :id

-- name: shift_needs
UPDATE task
SET unmet = unmet + :unmet,
    dead_needs = dead_needs + :dead_needs
WHERE id = :id

-- name: count_run
-- What a step that ends or begins does to its run, from values read in the same transaction.
UPDATE run
SET status = :status,
    version = :version,
    n_pending = :n_pending,
    n_in_progress = :n_in_progress,
    n_completed = :n_completed,
    n_failed = :n_failed,
    n_blocked = :n_blocked,
    n_skipped = :n_skipped,
    n_cancelled = :n_cancelled,
    n_unreachable = :n_unreachable,
    n_stopping = :n_stopping,
    updated_at = :updated_at
WHERE id = :id

-- name: put_run
-- The same for whatever else a run is; values read in the same transaction.
UPDATE run
SET status = :status,
    version = :version,
    workflow = :workflow,
    paused = :paused,
    cancelled_at = :cancelled_at,
    declared_status = :declared_status,
    declared_at = :declared_at,
    declared_error = :declared_error,
    n_pending = :n_pending,
    n_in_progress = :n_in_progress,
    n_completed = :n_completed,
    n_failed = :n_failed,
    n_blocked = :n_blocked,
    n_skipped = :n_skipped,
    n_cancelled = :n_cancelled,
    n_unreachable = :n_unreachable,
    n_stopping = :n_stopping,
    n_needs = :n_needs,
    worker_id = :worker_id,
    owner_token = :owner_token,
    target = :target,
    definition_id = :definition_id,
    resumes = :resumes,
    resumed_at = :resumed_at,
    document_id = :document_id,
    metadata = :metadata,
    started_at = :started_at,
    finished_at = :finished_at,
    updated_at = :updated_at,
    skipped_meets = :skipped_meets
WHERE id = :id

-- name: drop_run
DELETE FROM run
WHERE id = :id

-- name: drop_events
DELETE FROM event
WHERE run_id = :run_id

-- name: add_migration
INSERT INTO migration (number, name, checksum, applied_at, oldest)
VALUES (:number, :name, :checksum, :at, :oldest)

-- name: add_worker
INSERT INTO worker (name, host, pid, boot_id, lock_name, queues, labels, started_at)
VALUES (:name, :host, :pid, :boot_id, :lock_name, :queues, :labels, :at)
RETURNING id

-- name: stop_worker
-- What was said first holds: who is taken for dead may still live, and stop.
UPDATE worker
SET stopped_at = :at,
    died = :died
WHERE id = :id
  AND stopped_at IS NULL

-- name: orphaned_tasks
-- What is in progress at a worker that has stopped, or was taken for dead and claimed it when it woke.
SELECT {task_columns}
FROM task
WHERE run_id IN (SELECT id FROM run WHERE n_in_progress > 0)
  AND status = 'in_progress'
  AND queue IS NOT NULL
  AND worker_id IN (SELECT id FROM worker WHERE stopped_at IS NOT NULL)

-- name: worker_by_id
SELECT id, name, host, pid, boot_id, lock_name, started_at, stopped_at
FROM worker
WHERE id = :id

-- name: unstopped_workers
SELECT id, name, host, pid, boot_id, lock_name, started_at, stopped_at, queues, labels, died
FROM worker
WHERE stopped_at IS NULL
ORDER BY id

-- name: workers_page
-- The newest first.
SELECT id, name, host, pid, boot_id, lock_name, started_at, stopped_at, queues, labels, died
FROM worker
WHERE id < :before OR :before IS NULL
ORDER BY id DESC
LIMIT :limit

-- name: add_payload
INSERT INTO payload (hash, data, created_at)
VALUES (:hash, :data, :at)
ON CONFLICT (hash) DO NOTHING

-- name: payload_by_hash
SELECT data
FROM payload
WHERE hash = :hash

-- name: document_columns
id, path, codec, size, mtime_ns, ctime_ns, inode, digest, looked_at, written, detached_at

-- name: document_by_id
SELECT {document_columns}
FROM document
WHERE id = :id

-- name: document_by_path
SELECT {document_columns}
FROM document
WHERE path = :path

-- name: documents_below
-- Attached files whose stored path starts with a folder's; with an empty one all of them.
SELECT {document_columns}
FROM document
WHERE path >= :folder
  AND path < :folder || {last_character}
ORDER BY path

-- name: add_document
INSERT INTO document (path, codec)
VALUES (:path, :codec)
RETURNING id

-- name: put_document
UPDATE document
SET size = :size,
    mtime_ns = :mtime_ns,
    ctime_ns = :ctime_ns,
    inode = :inode,
    digest = :digest,
    looked_at = :looked_at,
    written = :written,
    detached_at = :detached_at
WHERE id = :id

-- name: run_of_document
SELECT {run_columns}
FROM run
WHERE document_id = :document_id

-- name: runs_with_documents
SELECT {run_columns}
FROM run
WHERE document_id IS NOT NULL

-- name: runs_of_codec
-- The runs of attached files of one format.
SELECT {run_columns}
FROM run
WHERE document_id IN (SELECT id FROM document WHERE codec = :codec)

-- name: run_ids
SELECT id
FROM run
ORDER BY id

-- name: newest_runs
-- Public ids that a mistyped one may have meant, and of which a shell completes one.
SELECT kind, name
FROM run
WHERE name >= :prefix
  AND name < :prefix || {last_character}
ORDER BY id DESC
LIMIT :limit

-- name: shared_names
-- Which of a JSON list of names are run ids of several kinds: written bare they would be ambiguous.
SELECT name
FROM run
WHERE name IN ({each_name})
GROUP BY name
HAVING count(*) > 1

-- name: tasks_named
-- A task without its run, in all runs; the newest run first.
SELECT {task_columns}
FROM task
WHERE key = :key
  AND item = :item
  AND map_index = :map_index
ORDER BY run_id DESC
LIMIT :limit

-- name: latest_events_of_run
-- The newest first, for people; readers of the log go forward.
SELECT {event_columns}
FROM event
LEFT JOIN task ON task.id = event.task_id
WHERE event.run_id = :id
  AND (event.seq < :before OR :before IS NULL)
ORDER BY event.seq DESC
LIMIT :limit

-- name: latest_notes_of_run
-- What was written about tasks that are in the plan, the newest first; not where an event says where it comes from.
SELECT task.key, event.at, event.actor, event.note
FROM event
JOIN task ON task.id = event.task_id
WHERE event.run_id = :run_id
  AND event.note IS NOT NULL
  AND event.verb NOT IN ({each_name})
  AND (task.reason IS NULL OR task.reason <> :removed)
ORDER BY event.seq DESC
LIMIT :limit

-- name: latest_events_of_task
-- The newest first.
SELECT {event_columns}
FROM event
JOIN task ON task.id = event.task_id
WHERE event.run_id = (SELECT run_id FROM task WHERE id = :id)
  AND event.task_id = :id
  AND (event.seq < :before OR :before IS NULL)
ORDER BY event.seq DESC
LIMIT :limit

-- name: owned_runs
-- Runs that a process said it executes; whether it lives, its lock tells.
SELECT {run_columns}
FROM run
WHERE worker_id IS NOT NULL
ORDER BY id

-- name: matrices_of
-- Those of one grouping.
SELECT {run_columns}
FROM run
WHERE workflow = :workflow
  AND kind = 'matrix'
ORDER BY name

-- name: item_columns
-- The columns of the value Item, in its order.
id, run_id, name, position, attributes, content_hash, removed_at, changed_at

-- name: items_of_run
SELECT {item_columns}
FROM item
WHERE run_id = :run_id
ORDER BY position

-- name: item_by_name
SELECT {item_columns}
FROM item
WHERE run_id = :run_id
  AND name = :name

-- name: items_page
-- Items behind a place, in order; without the removed ones.
SELECT {item_columns}
FROM item
WHERE run_id = CAST(:run_id AS BIGINT)
  AND position > CAST(:after AS BIGINT)
  AND removed_at IS NULL
ORDER BY position
LIMIT CAST(:limit AS BIGINT)

-- name: last_item
-- New items go behind it.
SELECT coalesce(max(position), -1)
FROM item
WHERE run_id = :run_id

-- name: add_item
INSERT INTO item (run_id, name, position, attributes, content_hash, removed_at)
VALUES (:run_id, :name, :position, :attributes, :content_hash, :removed_at)

-- name: put_item
UPDATE item
SET attributes = :attributes,
    content_hash = :content_hash,
    removed_at = :removed_at,
    changed_at = :changed_at
WHERE id = :id

-- name: drop_item
DELETE FROM item
WHERE id = :id

-- name: cells_of
-- Cells of some items, `` for the group's own, and some types; the plus keeps the index of places out.
SELECT {task_columns}
FROM task
WHERE {is_of_types}
  AND run_id = :run_id
  AND {is_of_items}
  AND map_index = -1
ORDER BY +position

-- name: keys_of_cells
-- Which types the items of a matrix have tasks of: one look into the index `task_cell` each.
WITH RECURSIVE found (key) AS (
  SELECT min(key)
  FROM task
  WHERE run_id = CAST(:run_id AS BIGINT)
    AND item <> ''
  UNION ALL
  SELECT (
    SELECT min(task.key)
    FROM task
    WHERE task.run_id = CAST(:run_id AS BIGINT)
      AND task.key > found.key
      AND task.item <> '')
  FROM found
  WHERE found.key IS NOT NULL)
SELECT key
FROM found
WHERE key IS NOT NULL

-- name: cells_of_type
-- What is completed of a type, in the order of the items; not of removed ones.
SELECT {task_columns}
FROM task
WHERE run_id = :run_id
  AND key = :key
  AND item IN (SELECT name FROM item WHERE item.run_id = :run_id AND removed_at IS NULL)
  AND map_index = -1
  AND status = 'completed'
ORDER BY position

-- name: cell_counts
-- How many tasks of items stand where, of each of a JSON list of types; the index `task_cell` alone answers.
SELECT key, status, count(*)
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND {is_of_types}
  AND item <> ''
GROUP BY key, status

-- name: cells_out
-- The same of what counts for nothing: tasks of removed items, and those that the document has no more, be they of items
-- or of the group. The text is the one of the index `task_removed`, word by word.
SELECT key, status, count(*)
FROM (
  SELECT task.key, task.status
  FROM item
  CROSS JOIN task
  WHERE item.run_id = CAST(:run_id AS BIGINT)
    AND item.removed_at IS NOT NULL
    AND {is_of_types}
    AND task.run_id = item.run_id
    AND task.item = item.name
  UNION ALL
  SELECT task.key, task.status
  FROM task
  WHERE task.run_id = CAST(:run_id AS BIGINT)
    AND task.reason = 'removed from its document'
    AND {is_there}) AS outside
GROUP BY key, status

-- name: is_there
-- Of a task: the list has its item still.
NOT EXISTS (
  SELECT 1
  FROM item
  WHERE item.run_id = task.run_id
    AND item.name = task.item
    AND item.removed_at IS NOT NULL)

-- name: ready_cells
-- Tasks of a type that may start now, behind an item and in the order of items, each with its agent; of one agent, or of
-- all.
SELECT {task_columns}, {said_agent}
FROM task
WHERE run_id = CAST(:run_id AS BIGINT)
  AND key = CAST(:key AS TEXT)
  AND status = 'pending'
  AND unmet = 0
  AND item > CAST(:after AS TEXT)
  AND item <> ''
  AND (not_before IS NULL OR not_before <= :now)
  AND (CAST(:agent AS TEXT) IS NULL OR {said_agent} = :agent)
  AND {is_there}
ORDER BY item
LIMIT CAST(:limit AS BIGINT)

-- name: group_cells
-- The tasks of a JSON list of types that the groups of a JSON list have of their own, each with its agent.
SELECT {task_columns}, {said_agent}
FROM task
WHERE {is_of_types}
  AND {is_of_runs}
  AND item = ''
  AND map_index = -1

-- name: count_ready_cells
-- How many of each run of a JSON list and each type of another wait for no other; the index `task_cell` alone answers.
SELECT run_id, key, count(*)
FROM task
WHERE {is_of_runs}
  AND {is_of_types}
  AND status = 'pending'
  AND unmet = 0
  AND item <> ''
GROUP BY run_id, key

-- name: ready_cells_out
-- Which of them may not start all the same: their time has not come, or their item was removed.
SELECT run_id, key, count(*)
FROM (
  SELECT id, run_id, key
  FROM task
  WHERE {is_of_runs}
    AND status = 'pending'
    AND not_before IS NOT NULL
    AND not_before > CAST(:now AS BIGINT)
    AND unmet = 0
    AND item <> ''
  UNION
  SELECT task.id, task.run_id, task.key
  FROM item
  CROSS JOIN task
  WHERE item.run_id IN ({each_id})
    AND item.removed_at IS NOT NULL
    AND {is_of_types}
    AND task.run_id = item.run_id
    AND task.item = item.name
    AND task.item <> ''
    AND task.status = 'pending'
    AND task.unmet = 0) AS outside
GROUP BY run_id, key

-- name: count_ready_cells_of
-- The same of one agent, each task looked at.
SELECT run_id, key, count(*)
FROM task
WHERE {is_of_runs}
  AND {is_of_types}
  AND status = 'pending'
  AND unmet = 0
  AND item <> ''
  AND (not_before IS NULL OR not_before <= :now)
  AND {said_agent} = :agent
  AND {is_there}
GROUP BY run_id, key

-- name: pending_items
-- The items whose task of a type is pending and waits for no other, in order.
SELECT item.name
FROM task
JOIN item ON item.run_id = task.run_id AND item.name = task.item
WHERE task.run_id = CAST(:run_id AS BIGINT)
  AND task.key = CAST(:key AS TEXT)
  AND task.status = 'pending'
  AND task.unmet = 0
  AND task.item <> ''
  AND item.removed_at IS NULL
ORDER BY item.position

-- name: removals_of
-- What each of a JSON list of tasks was when its item was removed; the last one counts.
SELECT task_id, from_status, changes
FROM event
WHERE run_id = :run_id
  AND task_id IN ({each_id})
  AND verb = 'skip'
ORDER BY seq

-- name: stale_among
-- Which of a JSON list of tasks are stale: what they need is looked at, and what that needs, however far.
WITH RECURSIVE needed_by_them (id) AS (
  SELECT id
  FROM task
  WHERE id IN ({each_id})
  UNION
  SELECT need.needed_id
  FROM needed_by_them
  JOIN need ON need.task_id = needed_by_them.id
  WHERE need.needed_id IS NOT NULL),
stale (id) AS (
  SELECT task.id
  FROM needed_by_them
  CROSS JOIN task
  WHERE task.id = needed_by_them.id
    AND task.status = 'completed'
    AND ({needs_are_newer} OR EXISTS (
      SELECT 1
      FROM item
      WHERE item.run_id = task.run_id
        AND item.name = task.item
        AND {item_is_newer}))
  {and_what_stands_on_it})
SELECT id
FROM stale
WHERE id IN ({each_id})

-- name: attempts_of_cells
-- Of a JSON list of runs: what was tried, who did it, what it came to and how long it took.
SELECT task.key, coalesce({said_agent}, attempt.actor), attempt.outcome, attempt.duration_us, attempt.n
FROM task
JOIN attempt ON attempt.task_id = task.id
WHERE {is_of_runs}

-- name: direct_cells
-- How many are completed of which no attempt tells, by type and agent.
SELECT key, {said_agent}, count(*)
FROM task
WHERE {is_of_runs}
  AND status = 'completed'
  AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.task_id = task.id AND attempt.outcome = 'ok')
GROUP BY key, {said_agent}

-- name: finished_runs
-- Runs that were over before a moment, from the last one on that was looked at; the index `run_finished` has them in order.
SELECT {run_columns}
FROM run
WHERE finished_at IS NOT NULL
  AND finished_at < CAST(:until AS BIGINT)
  AND finished_at >= CAST(:after AS BIGINT)
  AND (finished_at > :after OR id > :after_id)
ORDER BY finished_at, id
LIMIT :limit

-- name: rows_of_runs
-- How many attempts and events belong to a JSON list of runs; indexes alone answer.
SELECT
  (SELECT count(*) FROM attempt WHERE task_id IN (SELECT id FROM task WHERE run_id {among_ids})),
  (SELECT count(*) FROM event WHERE run_id {among_ids})

-- name: attempts_of_tasks
-- How many a JSON list of tasks has.
SELECT count(*)
FROM attempt
WHERE task_id {among_ids}

-- name: pruned_columns
-- All of an event, as the digest of what is removed takes it in.
seq, at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes, note

-- name: events_of_runs
-- Of a JSON list of runs, in the order of the log; the index `event_task`.
SELECT {pruned_columns}
FROM event
WHERE run_id {among_ids}
ORDER BY seq

-- name: events_of_parts
-- The same of some tasks of one run.
SELECT {pruned_columns}
FROM event
WHERE run_id = :run_id
  AND task_id {among_ids}
ORDER BY seq

-- name: drop_events_of_runs
DELETE FROM event
WHERE run_id {among_ids}

-- name: drop_events_of_parts
DELETE FROM event
WHERE run_id = :run_id
  AND task_id {among_ids}

-- name: drop_needs_of_runs
-- First, so that tasks which go need not let go of each other.
DELETE FROM need
WHERE task_id IN (SELECT id FROM task WHERE run_id {among_ids})

-- name: free_tasks
-- They wait for nothing: their needs are gone.
UPDATE task
SET unmet = 0,
    dead_needs = 0
WHERE run_id = :run_id
  AND (unmet > 0 OR dead_needs > 0)

-- name: drop_runs
-- With all that belongs to them but events.
DELETE FROM run
WHERE id {among_ids}

-- name: drop_documents
DELETE FROM document
WHERE id {among_ids}

-- name: part_of_run
-- Some tasks to remove first, those that never moved before others; the index `task_position`.
SELECT id, status, critical
FROM task
WHERE run_id = :run_id
  AND (status = 'pending' OR :n_pending = 0)
ORDER BY position
LIMIT :limit

-- name: drop_tasks
DELETE FROM task
WHERE id {among_ids}

-- name: is_past
-- Of a recording: its trace has nothing younger, be it a recording or a run; the indexes `ix_experiences_trace` and
-- `run_trace`.
NOT EXISTS (
  SELECT 1
  FROM attempt AS other
  WHERE other.type IS NOT NULL
    AND other.trace_id = attempt.trace_id
    AND other.started_at >= CAST(:until AS BIGINT))
AND NOT EXISTS (
  SELECT 1
  FROM run
  WHERE run.trace_id = attempt.trace_id
    AND (run.finished_at IS NULL OR run.finished_at >= CAST(:until AS BIGINT)))

-- name: is_kept_failure
-- Of a recording.
CAST(:keep_failures AS BIGINT) = 1 AND attempt.outcome IN ('error', 'timeout', 'lost')

-- name: past_recordings
-- Recordings of a type from before a moment, behind the last one that was looked at: its id, when it began, whether it
-- goes. The index `ix_experiences_type_ts` has them in order.
SELECT id, started_at,
  CASE
    WHEN NOT ({is_past}) THEN 'recent'
    WHEN {is_kept_failure} THEN 'failed'
    ELSE 'past'
  END
FROM attempt
WHERE type = CAST(:type AS TEXT)
  AND type IS NOT NULL
  AND started_at < CAST(:until AS BIGINT)
  AND started_at >= CAST(:after AS BIGINT)
  AND (started_at > :after OR id < :after_id)
ORDER BY started_at, id DESC
LIMIT :limit

-- name: drop_recordings
-- Of those that were looked at; meanwhile one may have been removed, its number given to another, or its trace gone on.
DELETE FROM attempt
WHERE id {among_ids}
  AND type IS NOT NULL
  AND started_at < CAST(:until AS BIGINT)
  AND {is_past}
  AND NOT ({is_kept_failure})
RETURNING id

-- name: last_removal
-- What the newest event of a verb that tells of something removed says; the index `event_removal` word by word.
SELECT changes
FROM event
WHERE verb IN ('pruned', 'erased')
  AND verb = :verb
ORDER BY seq DESC
LIMIT 1

-- name: removals
-- All of a verb, the oldest first.
SELECT seq, at, actor, changes
FROM event
WHERE verb IN ('pruned', 'erased')
  AND verb = :verb
ORDER BY seq

-- name: events_before
-- How many are there below a number.
SELECT count(*)
FROM event
WHERE seq < :seq

-- name: log_and_attempts_end
-- The highest numbers that were given.
SELECT
  (SELECT coalesce(max(seq), 0) FROM event),
  (SELECT coalesce(max(id), 0) FROM attempt)

-- name: payload_page
-- Behind a hash.
SELECT hash
FROM payload
WHERE hash > :after
ORDER BY hash
LIMIT :limit

-- name: payload_references
-- Whatever may name a payload.
SELECT output FROM task WHERE output LIKE '@%'
UNION ALL
SELECT output FROM attempt WHERE output LIKE '@%'
UNION ALL
SELECT inputs FROM attempt WHERE inputs LIKE '@%'
UNION ALL
SELECT details FROM attempt WHERE details LIKE '%@%'
UNION ALL
SELECT changes FROM event WHERE changes LIKE '%"@%'

-- name: newer_payload_references
-- What came behind an event and an attempt: whatever names a payload anew is told by one of them.
SELECT changes FROM event WHERE seq > :seq AND changes LIKE '%"@%'
UNION ALL
SELECT output FROM attempt WHERE id > :id AND output LIKE '@%'
UNION ALL
SELECT inputs FROM attempt WHERE id > :id AND inputs LIKE '@%'
UNION ALL
SELECT details FROM attempt WHERE id > :id AND details LIKE '%@%'

-- name: drop_payloads
-- By a JSON list of their hashes.
DELETE FROM payload
WHERE hash IN ({each_name})
RETURNING hash

-- name: drop_definitions
-- Some that no run and no job goes by; the index `run_definition` says so.
DELETE FROM definition
WHERE id IN (
  SELECT id
  FROM definition
  WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.definition_id = definition.id)
    AND NOT EXISTS (SELECT 1 FROM job WHERE job.definition_id = definition.id)
  LIMIT :limit)
RETURNING id
