-- The tables of the ledger. The primary key of each table with a workspace begins with it, so these
-- tables can be distributed by it. There are no sequences, foreign keys or triggers: the database
-- computes nothing, it stores what the engine has decided and encoded.

CREATE TABLE entry (
    workspace text COLLATE "C" NOT NULL,
    n bigint NOT NULL,
    -- The first 16 bytes of the SHA-256 of the idempotency key. The full key is in `data`.
    key uuid,
    -- For an entry about a charge: the number of the entry that opened the charge.
    opened bigint,
    -- The canonical encoding, over which the hash chain is computed.
    data bytea NOT NULL,
    PRIMARY KEY (workspace, n)
);
CREATE UNIQUE INDEX entry_key ON entry (workspace, key) WHERE key IS NOT NULL;
CREATE INDEX entry_opened ON entry (workspace, opened, n) WHERE opened IS NOT NULL;
-- Hashes do not compress, so compression would only cost time.
ALTER TABLE entry ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE account (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    -- The number of the account's last entry.
    n bigint NOT NULL,
    created_at bigint NOT NULL,
    data bytea NOT NULL,
    -- The usage rollups of the current hour, which are not in the table `usage` yet.
    usage bytea NOT NULL
    -- Half of each page stays free, so that an update finds room on the same page and touches no
    -- index.
) WITH (fillfactor = 50);
ALTER TABLE account ALTER COLUMN data SET STORAGE EXTERNAL, ALTER COLUMN usage SET STORAGE EXTERNAL;

-- The team of a workspace, apart because it is large and rarely changes.
CREATE TABLE team (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    data bytea NOT NULL
);
ALTER TABLE team ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE usage (
    workspace text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    operation text COLLATE "C" NOT NULL,
    -- Empty if there is none.
    worker text COLLATE "C" NOT NULL,
    member text COLLATE "C" NOT NULL,
    runs bigint NOT NULL,
    quantity bigint NOT NULL,
    charged bigint NOT NULL,
    refunded bigint NOT NULL,
    -- All zeros if there is none.
    api_key uuid NOT NULL,
    PRIMARY KEY (workspace, hour, operation, worker, member, api_key)
);

CREATE TABLE lot (
    workspace text COLLATE "C" NOT NULL,
    n bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (workspace, n)
);

CREATE TABLE pending (
    workspace text COLLATE "C" NOT NULL,
    -- The number of the entry that opened the charge.
    n bigint NOT NULL,
    charge uuid NOT NULL,
    deadline bigint NOT NULL,
    -- Until this time, in milliseconds since 1970, a server is timing the charge out.
    claimed_until bigint NOT NULL,
    PRIMARY KEY (workspace, n)
);
CREATE INDEX pending_deadline ON pending (deadline);

CREATE TABLE moved (
    workspace text COLLATE "C" NOT NULL,
    -- The id of a charge or grant that does not contain the number of its entry, because another
    -- ledger made it.
    id uuid NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (workspace, id)
);

-- The texts about persons: the names and e-mail addresses of members. Entries hold their digests.
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

-- What operators search workspaces by: a small row for each workspace, and the words of its name.
-- Indexes over them nominate workspaces; what is listed is read from the account. Both are apart
-- from the table `account`, so that a charge touches none of these indexes.
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

CREATE TABLE platform (
    -- The number of the platform's last entry. Every decision depends on it, because it fixes the
    -- prices.
    n bigint NOT NULL,
    -- True while an import has begun and not finished: the tables then hold part of a ledger.
    importing boolean NOT NULL DEFAULT false,
    -- The version that a server must have at least to write. Every guard compares it, so a server
    -- that was started before a migration writes nothing after it. A migration that older servers
    -- cannot live with raises it. Every migration locks this table first: a guard that has read it
    -- must commit before.
    min_version bigint NOT NULL DEFAULT 4
);
INSERT INTO platform (n) VALUES (0);
