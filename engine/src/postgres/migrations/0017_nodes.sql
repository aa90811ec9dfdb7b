-- What Citus needs. Tables that are divided together compare their workspaces alike.
ALTER TABLE unsent ALTER COLUMN workspace TYPE text COLLATE "C";
ALTER TABLE owed ALTER COLUMN workspace TYPE text COLLATE "C";
-- A table whose rows have no identity cannot be moved to another node while it is in use.
ALTER TABLE unsent REPLICA IDENTITY FULL;
ALTER TABLE platform ADD COLUMN one boolean NOT NULL DEFAULT true;
ALTER TABLE platform ADD CONSTRAINT platform_one CHECK (one);
ALTER TABLE platform ADD CONSTRAINT platform_pkey PRIMARY KEY (one);
