-- The whole schema. Times (*_at, not_before) are microseconds since 1970 UTC; lease_until is microseconds
-- on the machine's boot clock. Comments after columns say what they hold; "text:" is scrubbed before it is stored,
-- "data:" is stored exactly and scrubbed on the way out. JSON columns hold JSON text, or '@' and the hash of a payload.

-- A process that executes tasks. Its lock file is held for as long as it lives.
CREATE TABLE worker (
  id          INTEGER PRIMARY KEY,
  name        TEXT    NOT NULL,                 -- data: user@host, or what the operator called it
  host        TEXT    NOT NULL,
  pid         INTEGER NOT NULL,
  boot_id     TEXT    NOT NULL,                 -- of the machine's present boot; another one means dead
  lock_name   TEXT    NOT NULL,                 -- file name of its lock, beside the store
  queues      TEXT,                             -- data: JSON list of queues it serves
  labels      TEXT,                             -- data: JSON list of labels it offers
  lease_until INTEGER,                          -- on the machine's boot clock: dead from then on, though its process is there
  started_at  INTEGER NOT NULL,
  stopped_at  INTEGER,
  died        INTEGER NOT NULL DEFAULT 0 CHECK (died IN (0, 1)) -- it did not say that it stops: others found out
) STRICT;

-- A reusable description of a task or a graph.
CREATE TABLE definition (
  id          INTEGER PRIMARY KEY,
  kind        TEXT    NOT NULL,
  name        TEXT    NOT NULL,                 -- data:
  version     TEXT    NOT NULL DEFAULT '',      -- data:
  spec        TEXT    NOT NULL,                 -- data: JSON
  spec_hash   TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  UNIQUE (kind, name, version)
) STRICT;

-- A workflow with a schedule and a queue.
CREATE TABLE job (
  id            INTEGER PRIMARY KEY,
  name          TEXT    NOT NULL UNIQUE,        -- data:
  definition_id INTEGER REFERENCES definition (id),
  queue         TEXT,                           -- data:
  schedule      TEXT,                           -- data: JSON
  paused        INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  next_at       INTEGER,
  last_slot_at  INTEGER,
  created_at    INTEGER NOT NULL
) STRICT;

-- A file that people or agents edit, attached to the store.
CREATE TABLE document (
  id          INTEGER PRIMARY KEY,
  path        TEXT    NOT NULL UNIQUE,          -- data: from the store's project where it lies below, else absolute
  codec       TEXT    NOT NULL,
  size        INTEGER,                          -- of the file as we last read or wrote it, like the next four
  mtime_ns    INTEGER,
  ctime_ns    INTEGER,
  inode       INTEGER,
  digest      TEXT,
  looked_at   INTEGER,
  written     TEXT,                             -- data: JSON, what our codec last wrote or read, by key; text scrubbed
  detached_at INTEGER                           -- the file is gone
) STRICT;

-- A graph of tasks in motion.
CREATE TABLE run (
  id              INTEGER PRIMARY KEY,
  kind            TEXT    NOT NULL CHECK (kind IN ('plan', 'dag', 'matrix', 'job', 'cards')),
  name            TEXT    NOT NULL,             -- data: the public id
  workflow        TEXT    NOT NULL,             -- data: what is executed (the dag_id)
  status          TEXT    NOT NULL DEFAULT 'created'
                  CHECK (status IN ('created', 'running', 'completed', 'failed', 'cancelled', 'partial')),
  version         INTEGER NOT NULL DEFAULT 1,
  paused          INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  cancelled_at    INTEGER,
  declared_status TEXT    CHECK (declared_status IN ('created', 'running', 'completed', 'failed', 'cancelled', 'partial')),
  declared_at     INTEGER,
  declared_error  TEXT,                         -- text:
  n_pending       INTEGER NOT NULL DEFAULT 0 CHECK (n_pending >= 0),
  n_in_progress   INTEGER NOT NULL DEFAULT 0 CHECK (n_in_progress >= 0),
  n_completed     INTEGER NOT NULL DEFAULT 0 CHECK (n_completed >= 0),
  n_failed        INTEGER NOT NULL DEFAULT 0 CHECK (n_failed >= 0),
  n_blocked       INTEGER NOT NULL DEFAULT 0 CHECK (n_blocked >= 0),
  n_skipped       INTEGER NOT NULL DEFAULT 0 CHECK (n_skipped >= 0),
  n_cancelled     INTEGER NOT NULL DEFAULT 0 CHECK (n_cancelled >= 0),
  n_unreachable   INTEGER NOT NULL DEFAULT 0 CHECK (n_unreachable >= 0), -- pending tasks that can never start now
  n_stopping      INTEGER NOT NULL DEFAULT 0 CHECK (n_stopping >= 0),    -- critical tasks that stand failed
  n_needs         INTEGER NOT NULL DEFAULT 0,   -- rows of need; 0 lets a finish skip the look-up
  worker_id       INTEGER REFERENCES worker (id), -- who executes it now
  owner_token     TEXT,                         -- of that execution
  target          TEXT,                         -- data: module:attribute or file where its code is found
  definition_id   INTEGER REFERENCES definition (id), -- the persisted plan: its workflow as it was when it began
  trace_id        TEXT    NOT NULL,             -- 32 hex digits, W3C
  resumes         INTEGER NOT NULL DEFAULT 0,
  resumed_at      INTEGER,
  document_id     INTEGER REFERENCES document (id),
  metadata        TEXT,                         -- data: JSON
  created_at      INTEGER NOT NULL,
  started_at      INTEGER,                      -- first change of one of its tasks
  finished_at     INTEGER,
  updated_at      INTEGER NOT NULL,
  UNIQUE (kind, name)
) STRICT;
CREATE INDEX run_name ON run (name);
CREATE INDEX run_workflow ON run (workflow);

-- An item of a matrix.
CREATE TABLE item (
  id           INTEGER PRIMARY KEY,
  run_id       INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  name         TEXT    NOT NULL,                -- data:
  position     INTEGER NOT NULL,
  attributes   TEXT,                            -- data: JSON
  content_hash TEXT,
  removed_at   INTEGER,
  UNIQUE (run_id, name)
) STRICT;

-- One unit of work.
CREATE TABLE task (
  id             INTEGER PRIMARY KEY,
  run_id         INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  key            TEXT    NOT NULL,              -- data:
  item           TEXT    NOT NULL DEFAULT '',   -- data:
  map_index      INTEGER NOT NULL DEFAULT -1,
  position       INTEGER NOT NULL,
  status         TEXT    NOT NULL DEFAULT 'pending' CHECK (
                 status IN ('pending', 'in_progress', 'completed', 'failed', 'blocked', 'skipped', 'cancelled')),
  version        INTEGER NOT NULL DEFAULT 1,
  unmet          INTEGER NOT NULL DEFAULT 0 CHECK (unmet >= 0),      -- needs not met now
  dead_needs     INTEGER NOT NULL DEFAULT 0 CHECK (dead_needs >= 0), -- needs, not optional, that cannot complete now
  priority       INTEGER NOT NULL DEFAULT 3,    -- smaller is more urgent
  critical       INTEGER NOT NULL DEFAULT 1 CHECK (critical IN (0, 1)),
  queue          TEXT,                          -- data: NULL: only the run's owner executes it
  labels         TEXT,                          -- data: JSON list of what its worker must offer; NULL: nothing
  not_before     INTEGER,                       -- back-off
  attempts       INTEGER NOT NULL DEFAULT 0,    -- all starts, for ever
  tries          INTEGER NOT NULL DEFAULT 0,    -- errors and time-outs since the last fresh budget
  losses         INTEGER NOT NULL DEFAULT 0,    -- deaths of its worker since the last fresh budget
  fence          INTEGER NOT NULL DEFAULT 0,
  open_attempt   INTEGER,                       -- number of the attempt that is running
  last_outcome   TEXT,                          -- of the last attempt of this budget
  worker_id      INTEGER REFERENCES worker (id),
  lease_token    TEXT,
  lease_until    INTEGER,
  max_retries    INTEGER NOT NULL DEFAULT 3,
  retry          TEXT,                          -- data: JSON, the rest of the retry policy; NULL is the default
  timeout_ms     INTEGER,
  code_version   TEXT,                          -- of its function when the run was last taken up; NULL: not known
  output         TEXT,                          -- data: JSON, handed to dependants
  summary        TEXT,                          -- text: a plan task's result sentence
  error_type     TEXT,                          -- text:
  error          TEXT,                          -- text:
  reason         TEXT,                          -- text: why it is skipped, blocked, cancelled
  title          TEXT,                          -- data:
  metadata       TEXT,                          -- data: JSON
  progress_done  INTEGER,
  progress_total INTEGER,
  created_at     INTEGER NOT NULL,
  started_at     INTEGER,                       -- set once
  completed_at   INTEGER,
  UNIQUE (key, run_id, item, map_index),
  CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'skipped', 'cancelled'))),
  CHECK (open_attempt IS NULL OR status = 'in_progress')
) STRICT;
CREATE INDEX task_position ON task (run_id, position);
-- Few tasks are in motion, so those in progress and those that may start lie on one page: every step writes it.
CREATE INDEX task_live ON task (run_id, status, priority, position)
  WHERE status = 'in_progress' OR (status = 'pending' AND unmet = 0 AND not_before IS NULL);
-- What any worker may take, of all runs: the most urgent first, the oldest of those.
CREATE INDEX task_pooled ON task (queue, priority)
  WHERE queue IS NOT NULL AND status = 'pending' AND unmet = 0 AND not_before IS NULL;
CREATE INDEX task_pooled_due ON task (queue, not_before)
  WHERE queue IS NOT NULL AND status = 'pending' AND not_before IS NOT NULL;
CREATE INDEX task_due ON task (run_id, not_before) WHERE status = 'pending' AND not_before IS NOT NULL;

-- The edge "this task needs that one".
CREATE TABLE need (
  task_id    INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL,
  needed_key TEXT    NOT NULL,                  -- data: as it was written
  needed_id  INTEGER REFERENCES task (id) ON DELETE SET NULL, -- NULL: no such task; never met
  optional   INTEGER NOT NULL DEFAULT 0 CHECK (optional IN (0, 1)),
  PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX need_needed ON need (needed_id);

-- That a task in progress counts against a limit.
CREATE TABLE slot (
  name    TEXT    NOT NULL,                     -- data: of the limit
  task_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  PRIMARY KEY (name, task_id)
) STRICT, WITHOUT ROWID;

-- One execution of a task: a span.
CREATE TABLE attempt (
  id           INTEGER PRIMARY KEY,
  task_id      INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  n            INTEGER NOT NULL,                -- counts from 1 within the task
  fence        INTEGER NOT NULL,
  worker_id    INTEGER,
  actor        TEXT,                            -- data: who executed it
  trace_id     TEXT    NOT NULL,                -- 32 hex digits, W3C
  span_id      TEXT    NOT NULL,                -- 16 hex digits
  retry_of     INTEGER,                         -- id of the attempt before it
  started_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  duration_us  INTEGER,
  outcome      TEXT CHECK (outcome IN ('ok', 'error', 'timeout', 'lost', 'released', 'superseded', 'cancelled')),
  error_type   TEXT,                            -- text:
  error        TEXT,                            -- text:
  stack        TEXT,                            -- text:
  output       TEXT,                            -- data: JSON
  inputs       TEXT,                            -- data: JSON
  code_version TEXT,
  fingerprint  TEXT,                            -- of the error, see table error
  UNIQUE (task_id, n),
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

-- What an attempt printed, piece by piece in the order in which it came; the middle of what is too long is left out.
CREATE TABLE output (
  id       INTEGER PRIMARY KEY,
  task_id  INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  attempt  INTEGER NOT NULL,                    -- number of the attempt
  position INTEGER NOT NULL,                    -- characters that it had printed before
  length   INTEGER NOT NULL,                    -- characters of this piece, before scrubbing
  at       INTEGER NOT NULL,                    -- when the piece was stored
  lines    TEXT    NOT NULL                     -- text: in front of each line its stream, 1 stdout, 2 stderr
) STRICT;
CREATE INDEX output_attempt ON output (task_id, attempt);

-- What an attempt works on, so that its result can be used again for the same.
CREATE TABLE reuse (
  key     TEXT    NOT NULL,                     -- SHA-256 of code and inputs
  task_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  n       INTEGER NOT NULL,                     -- number of the attempt
  PRIMARY KEY (key, task_id, n)
) STRICT, WITHOUT ROWID;

-- The append-only history: who changed what, from which value to which, when and why.
CREATE TABLE event (
  seq         INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  actor       TEXT    NOT NULL,                 -- data: who asked
  run_id      INTEGER NOT NULL,
  task_id     INTEGER,                          -- NULL: the run itself
  verb        TEXT    NOT NULL,
  from_status TEXT,
  to_status   TEXT,
  attempt     INTEGER,                          -- number of the attempt that it begins or ends
  changes     TEXT,                             -- data: JSON {column: [old, new]}, each value as its column stores it
  note        TEXT                              -- text:
) STRICT;
CREATE INDEX event_task ON event (run_id, task_id); -- of each task in order, since seq is the row id
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event BEGIN
  SELECT RAISE (ABORT, 'events are never changed');
END;

-- Attempts that failed alike.
CREATE TABLE error (
  fingerprint   TEXT    PRIMARY KEY,
  error_type    TEXT,                           -- text:
  example       TEXT,                           -- text:
  occurrences   INTEGER NOT NULL DEFAULT 0,
  first_at      INTEGER NOT NULL,
  last_at       INTEGER NOT NULL,
  resolved_at   INTEGER,
  ignored_at    INTEGER
) STRICT;

-- Values too large for their column, by content.
CREATE TABLE payload (
  hash       TEXT    PRIMARY KEY,               -- SHA-256 of data
  data       TEXT    NOT NULL,                  -- data: JSON
  created_at INTEGER NOT NULL
) STRICT;

-- How far each reader of the event log has come.
CREATE TABLE reader (
  name      TEXT    PRIMARY KEY,
  seq       INTEGER NOT NULL DEFAULT 0,
  worker_id INTEGER REFERENCES worker (id)
) STRICT;

-- What must still reach somebody outside.
CREATE TABLE delivery (
  id         INTEGER PRIMARY KEY,
  event_seq  INTEGER NOT NULL,
  reader     TEXT    NOT NULL REFERENCES reader (name),
  target     TEXT    NOT NULL,                  -- data:
  tries      INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER,
  done_at    INTEGER,
  last_error TEXT                               -- text:
) STRICT;

-- What was done to the schema.
CREATE TABLE migration (
  number     INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL,
  checksum   TEXT    NOT NULL,                  -- SHA-256 of the file
  applied_at INTEGER NOT NULL,
  oldest     INTEGER NOT NULL                  -- programs that know this version of the schema may go on
) STRICT;
