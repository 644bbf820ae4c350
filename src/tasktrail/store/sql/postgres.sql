-- What PostgreSQL says in its own way.

-- name: last_character
-- Differs because each database names its functions. Behind it no text sorts.
chr(1114111)

-- name: each_id
-- Differs because each database takes JSON apart in its own way.
SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(:ids AS JSON)) AS each (value)

-- name: among_ids
-- Differs because of what `is_of_types` says. Is in a JSON list.
= ANY (ARRAY ({each_id}))

-- name: each_name
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:names AS JSON)) AS each (value)

-- name: each_item
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:items AS JSON)) AS each (value)

-- name: is_of_types
-- Differs because its planner looks into an index for each of an array; for a list that a query gives it reads all tasks.
-- A task's type is in a JSON list.
task.key = ANY (ARRAY ({each_name}))

-- name: is_of_items
-- Differs because of what `is_of_types` says. Its item is in one.
task.item = ANY (ARRAY ({each_item}))

-- name: is_of_runs
-- Differs because of what `is_of_types` says. Its run is in one.
task.run_id = ANY (ARRAY ({each_id}))

-- name: each_status
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:statuses AS JSON)) AS each (value)

-- name: each_key_without
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:without AS JSON)) AS each (value)

-- name: each_passed_over
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:passed_over AS JSON)) AS each (value)

-- name: said_agent
-- Differs because each database takes JSON apart in its own way, and this one refuses a text with a NUL anywhere in it.
-- Who does a task, as it says itself.
(CAST(replace(task.metadata, '\u0000', '\ufffd') AS JSON) ->> 'agent')

-- name: settings
-- Differs because only a session has these: where names are looked for, how long it waits for locks, for a statement,
-- and for us in the middle of a transaction. To compile what many rows are guessed for takes longer than our queries do
-- (measured: 600 ms for one of 5). Since when the server runs, as its answer.
SELECT CAST(pg_postmaster_start_time() AS TEXT),
  set_config('search_path', :search_path, :is_local),
  set_config('lock_timeout', :lock_ms, :is_local),
  set_config('statement_timeout', :statement_ms, :is_local),
  set_config('idle_in_transaction_session_timeout', '60000', :is_local),
  set_config('jit', 'off', :is_local)

-- name: lease_clock
-- Differs because each database has its own clock for leases.
CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)

-- name: is_new
-- Differs because only a server starts while others wait for it. Those who live are still coming back.
clock_timestamp() - pg_postmaster_start_time() < INTERVAL '3 seconds'

-- name: renew_worker
-- Differs because of the clock. It does nothing once the worker was taken for dead.
UPDATE worker
SET lease_until = {lease_clock} + CAST(:lease_us AS BIGINT)
WHERE id = :id
  AND stopped_at IS NULL
RETURNING id

-- name: renew_life
-- Differs because only here a process may have nothing but its lease. It lives, also when others took it for dead.
UPDATE worker
SET lease_until = {lease_clock} + CAST(:lease_us AS BIGINT)
WHERE lock_name = :lock_name

-- name: expired_workers
-- Differs because of the clock. Which workers have said nothing for too long.
SELECT id
FROM worker
WHERE stopped_at IS NULL
  AND lease_until <= {lease_clock}
  AND NOT {is_new}

-- name: lease_now
-- Differs because of the clock, which no boot begins anew.
SELECT {lease_clock}, 'server'

-- name: leased_lives
-- Differs because only here a process may have nothing but its lease.
SELECT lock_name
FROM worker
WHERE lock_name IN ({each_name})
  AND (lease_until > {lease_clock} OR {is_new})

-- name: has_labels
-- Differs because each database takes JSON apart in its own way. Whether a worker offers all that a task asks for.
(labels IS NULL OR CAST(labels AS JSONB) <@ CAST(:labels AS JSONB))

-- name: skip_held
-- Differs because others write at the same time: what somebody else is about to start is passed over.
FOR UPDATE OF task SKIP LOCKED

-- name: shift_run
-- Differs because others write at the same time: what others did to a run that is shared stays, and is seen.
UPDATE run
SET version = version + 1,
    n_pending = n_pending + :n_pending,
    n_in_progress = n_in_progress + :n_in_progress,
    n_completed = n_completed + :n_completed,
    n_failed = n_failed + :n_failed,
    n_blocked = n_blocked + :n_blocked,
    n_skipped = n_skipped + :n_skipped,
    n_cancelled = n_cancelled + :n_cancelled,
    n_unreachable = n_unreachable + :n_unreachable,
    n_stopping = n_stopping + :n_stopping,
    updated_at = greatest(updated_at, :updated_at)
WHERE id = :id
RETURNING {run_columns}

-- name: meet_many
-- Differs because others write at the same time: all hold those who wait in one order, so nobody waits for who waits.
UPDATE task
SET unmet = unmet - c.n
FROM (
  SELECT task.id, count.n
  FROM task
  JOIN (
    SELECT task_id, count(*) AS n
    FROM need
    WHERE needed_id IN ({each_id})
    GROUP BY task_id) AS count ON count.task_id = task.id
  ORDER BY task.id
  FOR UPDATE OF task) AS c
WHERE task.id = c.id

-- name: meet_one
-- Differs because others write at the same time, as meet_many does.
UPDATE task
SET unmet = unmet - 1
WHERE id IN (
  SELECT id
  FROM task
  WHERE id IN (SELECT task_id FROM need WHERE needed_id = :id)
  ORDER BY id
  FOR UPDATE)

-- name: lock_run
-- Differs because others write at the same time: whoever changes a run or its tasks holds the run's row until its commit.
SELECT {run_columns}
FROM run
WHERE id = :id
FOR UPDATE

-- name: lock_plan
-- Differs because others write at the same time: it is `lock_run` of a plan that is known by its name, in one trip.
{plan_by_name}
FOR UPDATE

-- name: hold_run
-- Differs because others write at the same time. For who knows the run already: its version moves with whatever changes
-- it or one of its tasks.
SELECT version
FROM run
WHERE id = :id
FOR UPDATE

-- name: last_ids
-- Differs because others write at the same time: the function lets one after the other count new ids until its commit.
SELECT last_run, last_task
FROM last_ids()

-- name: free_slots
-- Differs because others write at the same time: the function holds the limit until the commit, then does the same.
SELECT free_slots(:name)

-- name: log_end
-- Differs because others write at the same time, and a number is given before its commit. Whoever appends holds this lock
-- from before it has a number until its rows are visible. The statement's snapshot, which says what is the highest, is
-- older than the look at the locks. Transaction ids tell less: pg_snapshot_xmax is one behind the last that *ended*, so
-- a running one with a higher id shows nowhere in a snapshot.
SELECT ended.seq, appending.virtualtransaction
FROM (SELECT coalesce(max(seq), 0) AS seq FROM event) AS ended
LEFT JOIN pg_locks AS appending
  ON appending.locktype = 'relation'
  AND appending.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND appending.relation = CAST('event' AS regclass)
  AND appending.mode = 'RowExclusiveLock'
  AND appending.granted

-- name: server_facts
-- Differs because only a server has these. What the doctor says of it: versions of it and of the schema, what it promises, whether it takes writes, size of
-- the schema, connections there may be and there are, and whether ours is open to others on the way.
SELECT current_setting('server_version'),
  (SELECT max(number) FROM migration),
  current_setting('synchronous_commit'),
  current_setting('fsync'),
  current_setting('full_page_writes'),
  current_setting('transaction_read_only'),
  current_setting('server_encoding'),
  (SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS BIGINT) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())),
  CAST(current_setting('max_connections') AS INTEGER)
    - CAST(current_setting('superuser_reserved_connections') AS INTEGER)
    - CAST(coalesce(current_setting('reserved_connections', true), '0') AS INTEGER),
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  (SELECT CAST(NOT ssl AND client_addr IS NOT NULL AND NOT client_addr << '127.0.0.0/8' AND client_addr <> '::1' AS INTEGER)
    FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid())

-- name: server_clock
-- Differs because only a server has a clock of its own. In microseconds since 1970.
SELECT {lease_clock}

-- name: store_columns
-- Differs because each database describes itself in its own way. Table, column, and its place in the primary key (0: none)
-- of all tables but that of migrations, which belongs to the schema.
SELECT CAST(made.relname AS TEXT), CAST(info.attname AS TEXT),
  coalesce(array_position(CAST(string_to_array(CAST(keyed.indkey AS TEXT), ' ') AS SMALLINT[]), info.attnum), 0)
FROM pg_class AS made
JOIN pg_attribute AS info ON info.attrelid = made.oid AND info.attnum > 0 AND NOT info.attisdropped
LEFT JOIN pg_index AS keyed ON keyed.indrelid = made.oid AND keyed.indisprimary
WHERE made.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
  AND made.relkind = 'r'
  AND made.relname <> 'migration'
ORDER BY made.relname, info.attnum

-- name: store_references
-- Differs because each database describes itself in its own way. Which table refers to which.
SELECT CAST(made.relname AS TEXT), CAST(target.relname AS TEXT)
FROM pg_constraint AS refers
JOIN pg_class AS made ON made.oid = refers.conrelid
JOIN pg_class AS target ON target.oid = refers.confrelid
WHERE refers.contype = 'f'
  AND made.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())

-- name: keep_others_out
-- Differs because others write at the same time: whoever does anything adds a row to one of these first.
LOCK TABLE worker, document, definition, payload, run, event IN EXCLUSIVE MODE

-- name: count_on
-- Differs because ids come from sequences, which know nothing of rows that came with theirs.
DO $$
DECLARE
  one RECORD;
  highest BIGINT;
BEGIN
  FOR one IN
    SELECT table_name, column_name
    FROM information_schema.columns
    WHERE table_schema = current_schema() AND is_identity = 'YES'
  LOOP
    EXECUTE format('SELECT coalesce(max(%I), 0) FROM %I', one.column_name, one.table_name) INTO highest;
    EXECUTE format('ALTER TABLE %I ALTER COLUMN %I RESTART WITH %s', one.table_name, one.column_name, highest + 1);
  END LOOP;
END $$

-- name: held_lives
-- Differs because only a server knows who is connected. Who gets a lock, if only for this statement, proves that nobody
-- has it. While the server is new that is no death.
SELECT one.id
FROM ({each_id}) AS one (id)
WHERE NOT pg_try_advisory_xact_lock_shared(one.id)
   OR {is_new}

-- name: memory_count
-- Differs because its functions of JSON take no text.
coalesce(json_array_length(attempt.parents::json), 0)
-- name: hold_removals
-- Differs because others write at the same time: one after the other, since each says what the one before it removed.
SELECT pg_advisory_xact_lock(7234300, 0)

-- name: event_guard
-- Differs because each database lets go of a trigger in its own way. What sets the one that guards the history again.
SELECT 'ALTER TABLE event ENABLE TRIGGER event_is_never_changed'

-- name: let_events_change
-- Differs because each database lets go of a trigger in its own way. Until then, in this transaction alone.
ALTER TABLE event DISABLE TRIGGER event_is_never_changed
