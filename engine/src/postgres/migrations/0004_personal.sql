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
