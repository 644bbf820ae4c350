-- What a matrix of items × task types asks of the store.

-- 1: its needs are met by what is skipped, too; needs in runs of other kinds are so anyway.
ALTER TABLE run ADD COLUMN skipped_meets INTEGER NOT NULL DEFAULT 0 CHECK (skipped_meets IN (0, 1));

-- When the content hash of an item became another one; what was done before is stale.
ALTER TABLE item ADD COLUMN changed_at INTEGER;

-- Cells by type: how many stand where, and which are ready. Tasks of other runs have no item, and do not pay for it.
CREATE INDEX task_cell ON task (run_id, key, status, unmet, item) WHERE item <> '';
-- What its document has no more counts for nothing, though its history is kept.
CREATE INDEX task_removed ON task (run_id, key, item) WHERE reason = 'removed from its document';
CREATE INDEX item_place ON item (run_id, position);
