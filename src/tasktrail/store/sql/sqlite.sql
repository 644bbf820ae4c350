-- What SQLite says in its own way.

-- name: store_facts
-- Differs because each database tells of itself in its own words. What the doctor says of a SQLite file:
-- version of the library and of the schema, journal, durability, size.
SELECT sqlite_version(),
  (SELECT user_version FROM pragma_user_version),
  (SELECT journal_mode FROM pragma_journal_mode),
  (SELECT synchronous FROM pragma_synchronous),
  (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)
