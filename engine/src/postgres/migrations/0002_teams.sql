-- Adds the team of a workspace, in a table of its own because it is large and rarely changes. Adds
-- the API key to the usage rollups, so that limits per key can be computed from them. Older usage
-- counts under no key. An older server can use neither the new primary key nor the new rollups:
-- stop older servers first.

CREATE TABLE team (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    data bytea NOT NULL
);
-- Hashes do not compress, so compression would only cost time.
ALTER TABLE team ALTER COLUMN data SET STORAGE EXTERNAL;

-- All zeros if there is none.
ALTER TABLE usage ADD COLUMN api_key uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
-- Two statements: a distributed database refuses both changes in one.
ALTER TABLE usage DROP CONSTRAINT usage_pkey;
ALTER TABLE usage ADD CONSTRAINT usage_pkey PRIMARY KEY (workspace, hour, operation, worker, member, api_key);
