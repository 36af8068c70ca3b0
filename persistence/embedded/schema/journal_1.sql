-- The journal: one row, the frame, per group commit. `data` is a persistence::batch of turns, `crc` the CRC-32 of it.
-- Ids rise by one and never repeat, also after frames were trimmed.
CREATE TABLE frame (
    id    INTEGER PRIMARY KEY,
    turns INTEGER NOT NULL,
    crc   INTEGER NOT NULL,
    data  BLOB NOT NULL
);

-- What a readiness check writes to find out whether there is room again.
CREATE TABLE probe (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    data BLOB NOT NULL
);
