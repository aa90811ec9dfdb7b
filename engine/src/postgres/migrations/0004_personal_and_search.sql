-- Adds the texts about persons, the names and e-mail addresses of members. Entries hold only their
-- digests, which older servers cannot read.

CREATE TABLE personal (
    workspace text COLLATE "C" NOT NULL,
    member text COLLATE "C" NOT NULL,
    -- The SHA-256 of salt and text, by which an entry names the text.
    digest bytea NOT NULL,
    -- The number of the entry that named it first.
    n bigint NOT NULL,
    -- Both are NULL once the text was erased.
    salt bytea,
    text bytea,
    PRIMARY KEY (workspace, member, digest)
);
CREATE INDEX personal_kept ON personal (workspace, member) WHERE text IS NOT NULL;

UPDATE platform SET min_version = 4;

-- Adds what operators search workspaces by: a small row for each workspace, and the words of its
-- name. Indexes over them nominate workspaces; what is listed is read from the account. Both are
-- apart from the table `account`, so that a charge touches none of these indexes.

CREATE TABLE search (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    created_at bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    suspended boolean NOT NULL,
    debt boolean NOT NULL,
    -- Whole days since 1970 at the last charge, or at the creation if it was never charged.
    used_day bigint NOT NULL
);
CREATE INDEX search_created ON search (created_at, workspace);
CREATE INDEX search_suspended ON search (created_at, workspace) WHERE suspended;
CREATE INDEX search_debt ON search (created_at, workspace) WHERE debt;
CREATE INDEX search_used ON search (used_day, created_at, workspace);

CREATE TABLE search_word (
    workspace text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace, word)
);
CREATE INDEX search_word_word ON search_word (word, created_at, workspace);

-- The list of workspaces was read by this index.
DROP INDEX account_created;

-- From here on accounts hold the time of the last charge too, which older servers cannot read.
