-- What was committed and is not in the other tables yet: `data` holds the rows of one transaction (journal.py), `seq` is
-- the last number that it gave. A later schema moves them to the tables before it changes those.
CREATE TABLE journal (seq BIGINT, data BLOB);
