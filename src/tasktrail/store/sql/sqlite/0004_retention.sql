-- What removing what is old looks for, so that it reads no whole tables.
-- oldest: 3

-- What was over before a moment.
CREATE INDEX run_finished ON run (finished_at) WHERE finished_at IS NOT NULL;
-- Whether a document or a definition has a run still.
CREATE INDEX run_document ON run (document_id) WHERE document_id IS NOT NULL;
CREATE INDEX run_definition ON run (definition_id) WHERE definition_id IS NOT NULL;
-- A task that goes takes along what its results can be found by.
CREATE INDEX reuse_task ON reuse (task_id);
-- The few events that tell of what was removed, among all others.
CREATE INDEX event_removal ON event (seq) WHERE verb IN ('pruned', 'erased');
