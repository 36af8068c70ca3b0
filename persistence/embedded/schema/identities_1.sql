-- Who a device is at the door. A row outlives the identity it held, so that a generation is never used twice.
CREATE TABLE identity (
    device  TEXT NOT NULL PRIMARY KEY,
    -- The highest generation ever used for this id.
    highest INTEGER NOT NULL,
    -- 0 when the identity was deleted; then the columns below say nothing.
    present INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    kid     INTEGER NOT NULL
);

CREATE TABLE slot (
    device   TEXT NOT NULL,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (device, position)
) WITHOUT ROWID;

-- Keys brought from outside, encrypted by someone else.
CREATE TABLE sealed_key (
    device   TEXT NOT NULL,
    position INTEGER NOT NULL,
    slot     TEXT NOT NULL,
    nonce    BLOB NOT NULL,
    sealed   BLOB NOT NULL,
    PRIMARY KEY (device, position)
) WITHOUT ROWID;
