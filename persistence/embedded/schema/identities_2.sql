-- Credentials beside keys: certificates of a device's own, and the hash of a password that a person chose.
CREATE TABLE certificate (
    device   TEXT NOT NULL,
    position INTEGER NOT NULL,
    slot     TEXT NOT NULL,
    sha256   BLOB NOT NULL,
    PRIMARY KEY (device, position)
) WITHOUT ROWID;

ALTER TABLE identity ADD COLUMN password TEXT;

-- Who may speak for it.
ALTER TABLE identity ADD COLUMN gateway TEXT;
CREATE INDEX identity_gateway ON identity (gateway, device) WHERE gateway IS NOT NULL;
