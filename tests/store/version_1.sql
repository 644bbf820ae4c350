-- The rows of a plan in a store of schema version 1: three tasks, one done, one failed, one that waits.
INSERT INTO run (id, kind, name, workflow, status, version, paused, n_pending, n_in_progress, n_completed, n_failed, n_blocked, n_skipped, n_cancelled, n_unreachable, n_stopping, n_needs, trace_id, resumes, created_at, started_at, finished_at, updated_at)
  VALUES (1, 'plan', 'shop', 'shop', 'partial', 6, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 2, '4d818e1345afd1ab8011c7f3740b1e9a', 0, 1795276686653445, 1795276686656959, 1795276686668877, 1795276686672845);
INSERT INTO task (id, run_id, key, item, map_index, position, status, version, unmet, dead_needs, priority, critical, attempts, tries, losses, fence, last_outcome, max_retries, summary, title, created_at, started_at, completed_at)
  VALUES (1, 1, 'T1', '', -1, 1, 'completed', 3, 0, 0, 3, 1, 1, 0, 0, 1, 'ok', 3, 'done', 'Set up', 1795276686653445, 1795276686656959, 1795276686661056);
INSERT INTO task (id, run_id, key, item, map_index, position, status, version, unmet, dead_needs, priority, critical, attempts, tries, losses, fence, last_outcome, max_retries, title, created_at, started_at, completed_at)
  VALUES (2, 1, 'T2', '', -1, 2, 'failed', 3, 0, 0, 3, 1, 1, 1, 0, 1, 'error', 3, 'Models', 1795276686653445, 1795276686664852, 1795276686668877);
INSERT INTO task (id, run_id, key, item, map_index, position, status, version, unmet, dead_needs, priority, critical, attempts, tries, losses, fence, max_retries, title, created_at)
  VALUES (3, 1, 'T3', '', -1, 3, 'pending', 1, 1, 1, 3, 1, 0, 0, 0, 0, 3, 'Page', 1795276686653445);
INSERT INTO need (task_id, position, needed_key, needed_id, optional)
  VALUES (2, 0, 'T1', 1, 0);
INSERT INTO need (task_id, position, needed_key, needed_id, optional)
  VALUES (3, 0, 'T2', 2, 0);
INSERT INTO attempt (id, task_id, n, fence, actor, trace_id, span_id, started_at, ended_at, duration_us, outcome)
  VALUES (1, 1, 1, 1, 'ann', '4d818e1345afd1ab8011c7f3740b1e9a', 'e967a5a088e37585', 1795276686656959, 1795276686661056, 4097, 'ok');
INSERT INTO attempt (id, task_id, n, fence, actor, trace_id, span_id, started_at, ended_at, duration_us, outcome)
  VALUES (2, 2, 1, 1, 'ann', '4d818e1345afd1ab8011c7f3740b1e9a', '6d8d0827d77c9f1f', 1795276686664852, 1795276686668877, 4025, 'error');
INSERT INTO event (seq, at, actor, run_id, verb, changes)
  VALUES (1, 1795276686653445, 'ann', 1, 'created', '{"tasks": [0, 3]}');
INSERT INTO event (seq, at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
  VALUES (2, 1795276686656959, 'ann', 1, 1, 'start', 'pending', 'in_progress', 1, '{"attempts":[0,1],"fence":[0,1],"started_at":[null,1795276686656959]}');
INSERT INTO event (seq, at, actor, run_id, verb, from_status, to_status)
  VALUES (3, 1795276686656959, 'tasktrail', 1, 'roll_up', 'created', 'running');
INSERT INTO event (seq, at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
  VALUES (4, 1795276686661056, 'ann', 1, 1, 'complete', 'in_progress', 'completed', 1, '{"completed_at":[null,1795276686661056],"last_outcome":[null,"ok"],"summary":[null,"done"]}');
INSERT INTO event (seq, at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
  VALUES (5, 1795276686664852, 'ann', 1, 2, 'start', 'pending', 'in_progress', 1, '{"attempts":[0,1],"fence":[0,1],"started_at":[null,1795276686664852]}');
INSERT INTO event (seq, at, actor, run_id, task_id, verb, from_status, to_status, attempt, changes)
  VALUES (6, 1795276686668877, 'ann', 1, 2, 'fail', 'in_progress', 'failed', 1, '{"completed_at":[null,1795276686668877],"tries":[0,1],"last_outcome":[null,"error"]}');
INSERT INTO event (seq, at, actor, run_id, verb, from_status, to_status)
  VALUES (7, 1795276686668877, 'tasktrail', 1, 'roll_up', 'running', 'partial');
INSERT INTO event (seq, at, actor, run_id, task_id, verb, note)
  VALUES (8, 1795276686672845, 'ann', 1, 3, 'note', 'waits');
