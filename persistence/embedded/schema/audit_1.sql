-- Who did what. A record is written once and never changed; `hash` says that of all before it.
CREATE TABLE record (
    number INTEGER PRIMARY KEY,
    -- Milliseconds since 1970.
    at     INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    body   BLOB NOT NULL
);
CREATE INDEX record_at ON record (at, number);
