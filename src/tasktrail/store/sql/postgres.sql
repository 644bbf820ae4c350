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
