-- What twins are found by: their model, tags, status, metadata, what they stand below (`persistence::search`). `term` is a key and a value of
-- it, and in the order of the values.
CREATE TABLE posting (
    term BLOB NOT NULL,
    twin TEXT NOT NULL,
    PRIMARY KEY (term, twin)
) WITHOUT ROWID;
-- In which form the postings are; none until they have been made of the rows that were there before.
CREATE TABLE posting_form (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    form INTEGER NOT NULL
);
-- A model's twins are found by a posting now.
DROP INDEX twin_by_model;
