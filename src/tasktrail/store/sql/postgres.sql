-- What PostgreSQL says in its own way.

-- name: last_character
-- Differs because each database names its functions. Behind it no text sorts.
chr(1114111)

-- name: each_id
-- Differs because each database takes JSON apart in its own way.
SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(:ids AS JSON)) AS each (value)

-- name: each_name
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:names AS JSON)) AS each (value)

-- name: each_status
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:statuses AS JSON)) AS each (value)

-- name: each_key_without
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:without AS JSON)) AS each (value)

-- name: each_passed_over
-- Differs because each database takes JSON apart in its own way.
SELECT value FROM json_array_elements_text(CAST(:passed_over AS JSON)) AS each (value)

-- name: has_labels
-- Differs because each database takes JSON apart in its own way. Whether a worker offers all that a task asks for.
(labels IS NULL OR CAST(labels AS JSONB) <@ CAST(:labels AS JSONB))

-- name: lock_run
-- Differs because others write at the same time: whoever changes a run or its tasks holds the run's row until its commit.
SELECT {run_columns}
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

-- name: store_facts
-- Differs because each database tells of itself in its own words. What the doctor says of a PostgreSQL database:
-- version of the server and of the schema, journal, durability, size.
SELECT current_setting('server_version'),
  (SELECT max(number) FROM migration),
  'wal',
  current_setting('synchronous_commit'),
  pg_database_size(current_database())
