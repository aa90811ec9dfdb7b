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
CREATE INDEX account_created ON account (created_at, workspace);
ALTER TABLE account ALTER COLUMN data SET STORAGE EXTERNAL, ALTER COLUMN usage SET STORAGE EXTERNAL;

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
    PRIMARY KEY (workspace, hour, operation, worker, member)
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

CREATE TABLE platform (
    -- The number of the platform's last entry. Every decision depends on it, because it fixes the
    -- prices.
    n bigint NOT NULL,
    -- True while an import has begun and not finished: the tables then hold part of a ledger.
    importing boolean NOT NULL DEFAULT false
);
INSERT INTO platform (n) VALUES (0);
