-- What a move asks of every table, and what erases a text in all of them. What stands in braces is filled in with names that the database itself gave.

-- name: rows
SELECT {columns}
FROM {table}
ORDER BY {key}

-- name: add
INSERT INTO {table} ({columns})
VALUES ({values})

-- name: count
SELECT count(*)
FROM {table}

-- name: change
UPDATE {table}
SET {assignments}
WHERE {is_it}
