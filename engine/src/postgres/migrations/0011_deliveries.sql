-- What webhook endpoints are sent of the journal.

-- Workspaces with entries of followed kinds that no subscriber was given yet. A batch writes it
-- with its entries, one row a workspace. after_n is the last entry before the first of them.
CREATE TABLE unsent (
    workspace text NOT NULL PRIMARY KEY,
    after_n bigint NOT NULL,
    n bigint NOT NULL
);

-- What a subscriber was given and has not been sent: the entries of a workspace after after_n, up
-- to n. The row goes when all of them are noted.
CREATE TABLE owed (
    workspace text NOT NULL,
    subscriber text NOT NULL,
    after_n bigint NOT NULL,
    n bigint NOT NULL,
    queued_at bigint NOT NULL,
    PRIMARY KEY (workspace, subscriber)
);
CREATE INDEX owed_in_order ON owed (subscriber, queued_at, workspace);

-- What failed of a subscriber, and which server has its turn until when.
CREATE TABLE subscriber (
    name text NOT NULL PRIMARY KEY,
    state bytea NOT NULL,
    holder bigint NOT NULL,
    held_until bigint NOT NULL
);

-- An older server would not write `unsent`.
UPDATE platform SET min_version = 11;
