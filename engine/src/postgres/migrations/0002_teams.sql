-- The team of a workspace, apart from its account because it is large and changes seldom; and the API key in the rollups,
-- so that limits per key can be counted from them. What was counted before was counted under no key.
-- A server of before finds neither the old primary key nor rollups that it can read: stop those servers first.

CREATE TABLE team (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    data bytea NOT NULL
);
-- Hashes do not compress; trying would only cost time.
ALTER TABLE team ALTER COLUMN data SET STORAGE EXTERNAL;

-- All zeros when there is none.
ALTER TABLE usage ADD COLUMN api_key uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
-- One after the other: a database distributed over several nodes refuses to do both at once.
ALTER TABLE usage DROP CONSTRAINT usage_pkey;
ALTER TABLE usage ADD CONSTRAINT usage_pkey PRIMARY KEY (workspace, hour, operation, worker, member, api_key);
