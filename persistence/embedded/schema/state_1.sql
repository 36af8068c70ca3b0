-- Projections of the journal, and the documents. All times are milliseconds since 1970; `data`, `metadata` and `tags` are
-- protobuf of persistence::codec.

-- The last frame whose events are in the tables below. Written in one transaction with them: nothing is projected twice.
CREATE TABLE checkpoint (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    frame INTEGER NOT NULL
);
INSERT INTO checkpoint (id, frame) VALUES (1, 0);

-- Events of one twin and stream, in the order of their commits: lz4 of (length, event)*, `crc` the CRC-32 of `data`.
CREATE TABLE chunk (
    id           INTEGER PRIMARY KEY,
    twin         TEXT NOT NULL,
    stream       INTEGER NOT NULL,
    min_at       INTEGER NOT NULL,
    max_at       INTEGER NOT NULL,
    min_received INTEGER NOT NULL,
    max_received INTEGER NOT NULL,
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    format       INTEGER NOT NULL,
    crc          INTEGER NOT NULL,
    data         BLOB NOT NULL
);
-- Covers the search by either time; the newest chunk of a stream stands last.
CREATE INDEX chunk_by_twin ON chunk (twin, stream, max_received, min_received, min_at, max_at);
CREATE INDEX chunk_by_age ON chunk (min_received);

CREATE TABLE snapshot (
    id           INTEGER PRIMARY KEY,
    twin         TEXT NOT NULL UNIQUE,
    seq          INTEGER NOT NULL,
    wake_at      INTEGER,
    contribution BLOB NOT NULL,
    state        BLOB NOT NULL
);
CREATE INDEX snapshot_by_wake ON snapshot (wake_at, twin) WHERE wake_at IS NOT NULL;

CREATE TABLE twin (
    id         TEXT NOT NULL PRIMARY KEY,
    model      TEXT NOT NULL,
    parent     TEXT,
    gateway    TEXT,
    status     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    -- The ids from the top down to this twin, joined by '/'.
    path       TEXT NOT NULL,
    tags       BLOB NOT NULL,
    metadata   BLOB NOT NULL
);
CREATE INDEX twin_by_model ON twin (model, id);
CREATE INDEX twin_by_parent ON twin (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX twin_by_path ON twin (path);

CREATE TABLE command (
    twin            TEXT NOT NULL,
    id              TEXT NOT NULL,
    state           TEXT NOT NULL,
    queued_at       INTEGER NOT NULL,
    idempotency_key TEXT,
    data            BLOB NOT NULL,
    PRIMARY KEY (twin, id)
);
CREATE INDEX command_by_time ON command (twin, queued_at, id);
CREATE INDEX command_by_state ON command (twin, state, queued_at, id);
CREATE INDEX command_by_key ON command (twin, idempotency_key, queued_at) WHERE idempotency_key IS NOT NULL;

CREATE TABLE document (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- What a readiness check writes to find out whether there is room again.
CREATE TABLE probe (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    data BLOB NOT NULL
);
