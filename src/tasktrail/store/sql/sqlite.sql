-- What SQLite says in its own way.

-- name: store_facts
-- Differs because each database tells of itself in its own words. What the doctor says of a SQLite file:
-- version of the library and of the schema, journal, durability, size.
SELECT sqlite_version(),
  (SELECT user_version FROM pragma_user_version),
  (SELECT journal_mode FROM pragma_journal_mode),
  (SELECT synchronous FROM pragma_synchronous),
  (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)

-- name: last_character
-- Differs because each database names its functions. Behind it no text sorts.
char(1114111)

-- name: each_id
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_each(:ids)

-- name: among_ids
-- Differs because each database takes JSON apart in its own way. Is in a JSON list.
IN ({each_id})

-- name: each_name
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_each(:names)

-- name: each_item
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_each(:items)

-- name: is_of_types
-- Differs because each database takes JSON apart in its own way. A task's type is in a JSON list.
task.key IN ({each_name})

-- name: is_of_items
-- Differs because each database takes JSON apart in its own way. Its item is in one.
task.item IN ({each_item})

-- name: is_of_runs
-- Differs because each database takes JSON apart in its own way. Its run is in one.
task.run_id IN ({each_id})

-- name: each_status
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_each(:statuses)

-- name: each_key_without
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_each(:without)

-- name: each_passed_over
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_each(:passed_over)

-- name: said_agent
-- Differs because each database takes JSON apart in its own way. Who does a task, as it says itself.
CAST(json_extract(task.metadata, '$.agent') AS TEXT)

-- name: renew_worker
-- Differs because each database has its own clock for leases. It does nothing once the worker was taken for dead.
UPDATE worker
SET lease_until = :boot_now + :lease_us
WHERE id = :id
  AND stopped_at IS NULL
RETURNING id

-- name: expired_workers
-- Differs because each database has its own clock for leases. Which workers have said nothing for too long.
SELECT id
FROM worker
WHERE stopped_at IS NULL
  AND (lease_until < :boot_now OR (lease_until IS NOT NULL AND boot_id <> :boot_id))

-- name: lease_now
-- Differs because each database has its own clock for leases, and the machine's has its boots.
SELECT :boot_now, :boot_id

-- name: has_labels
-- Differs because each database takes JSON apart in its own way. Whether a worker offers all that a task asks for.
(labels IS NULL OR NOT EXISTS (
  SELECT 1
  FROM json_each(task.labels) AS asked
  WHERE asked.value NOT IN (SELECT value FROM json_each(:labels))))

-- name: skip_held
-- Differs because a SQLite file has one writer: nobody else holds a task.

-- name: lock_run
-- Differs because a SQLite file has one writer: who writes holds all.
SELECT {run_columns}
FROM run
WHERE id = :id

-- name: lock_plan
-- Differs because a SQLite file has one writer: who writes holds all.
{plan_by_name}

-- name: last_ids
-- Differs because a SQLite file has one writer: what is the highest id stays so until its commit.
-- New ones are counted from here inside a writing transaction.
SELECT
  (SELECT coalesce(max(id), 0) FROM run),
  (SELECT coalesce(max(id), 0) FROM task)

-- name: log_end
-- Differs because a SQLite file has one writer: what has a lower number is there already.
SELECT coalesce(max(seq), 0), NULL
FROM event

-- name: store_columns
-- Differs because each database describes itself in its own way. Table, column, and its place in the primary key (0: none)
-- of all tables but that of migrations, which belongs to the schema.
SELECT made.name, info.name, info.pk
FROM sqlite_schema AS made
JOIN pragma_table_info(made.name) AS info
WHERE made.type = 'table'
  AND made.name <> 'migration'
ORDER BY made.name, info.cid

-- name: store_references
-- Differs because each database describes itself in its own way. Which table refers to which.
SELECT made.name, refers."table"
FROM sqlite_schema AS made
JOIN pragma_foreign_key_list(made.name) AS refers
WHERE made.type = 'table'

-- name: keep_others_out
-- Differs because a SQLite file has one writer: nobody else writes before the commit.
SELECT 1

-- name: count_on
-- Differs because SQLite counts from the highest id by itself.
SELECT 1

-- name: hold_removals
-- Differs because a SQLite file has one writer: nobody else removes anything before the commit.
SELECT 1

-- name: event_guard
-- Differs because each database lets go of a trigger in its own way. What sets the one that guards the history again.
SELECT sql
FROM sqlite_schema
WHERE type = 'trigger'
  AND name = 'event_is_never_changed'

-- name: let_events_change
-- Differs because each database lets go of a trigger in its own way. Until then, in this transaction alone.
DROP TRIGGER event_is_never_changed
