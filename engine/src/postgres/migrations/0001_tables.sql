-- The tables of the ledger. The first key of every table is the workspace, so that they distribute by it; there are no
-- sequences, foreign keys or triggers. Nothing here computes: what is stored was decided and encoded before.

CREATE TABLE entry (
    workspace text COLLATE "C" NOT NULL,
    n bigint NOT NULL,
    -- The first half of the SHA-256 of the idempotency key; the key itself is in the data.
    key uuid,
    -- The number of the entry that opened the charge this one is about.
    opened bigint,
    -- The canonical bytes.
    data bytea NOT NULL,
    PRIMARY KEY (workspace, n)
);
CREATE UNIQUE INDEX entry_key ON entry (workspace, key) WHERE key IS NOT NULL;
CREATE INDEX entry_opened ON entry (workspace, opened, n) WHERE opened IS NOT NULL;
-- Hashes do not compress; trying would only cost time.
ALTER TABLE entry ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE account (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    -- The number of the last entry.
    n bigint NOT NULL,
    created_at bigint NOT NULL,
    data bytea NOT NULL,
    -- The rollups of the present hour, which are not in the table of usage yet.
    usage bytea NOT NULL
    -- Half of each page is left free, so that an update finds room beside the row and touches no index.
) WITH (fillfactor = 50);
CREATE INDEX account_created ON account (created_at, workspace);
ALTER TABLE account ALTER COLUMN data SET STORAGE EXTERNAL, ALTER COLUMN usage SET STORAGE EXTERNAL;

CREATE TABLE usage (
    workspace text COLLATE "C" NOT NULL,
    hour bigint NOT NULL,
    operation text COLLATE "C" NOT NULL,
    -- Empty when there is none.
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
    -- Until when one of the servers has it in hand.
    claimed_until bigint NOT NULL,
    PRIMARY KEY (workspace, n)
);
CREATE INDEX pending_deadline ON pending (deadline);

CREATE TABLE moved (
    workspace text COLLATE "C" NOT NULL,
    -- A charge or a grant whose id does not carry the number of its entry, because another ledger made it.
    id uuid NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (workspace, id)
);

CREATE TABLE platform (
    -- The number of the last entry of the platform's own chain, which every decision about a price relies on.
    n bigint NOT NULL,
    -- Whether an import has begun and not ended: what is here is a part of a ledger.
    importing boolean NOT NULL DEFAULT false
);
INSERT INTO platform (n) VALUES (0);
