-- A batch adds one row to `unsent` for all its workspaces, instead of one for each. `workspace` is
-- the first of them. Without an index, adding a row costs a charge next to nothing.
ALTER TABLE unsent DROP CONSTRAINT unsent_pkey;
ALTER TABLE unsent RENAME COLUMN after_n TO single_after_n;
ALTER TABLE unsent RENAME COLUMN n TO single_n;
ALTER TABLE unsent ADD COLUMN workspaces text[], ADD COLUMN after_n bigint[], ADD COLUMN n bigint[];
UPDATE unsent SET workspaces = ARRAY[workspace], after_n = ARRAY[single_after_n], n = ARRAY[single_n];
ALTER TABLE unsent DROP COLUMN single_after_n, DROP COLUMN single_n,
    ALTER COLUMN workspaces SET NOT NULL, ALTER COLUMN after_n SET NOT NULL, ALTER COLUMN n SET NOT NULL;

-- An older server would write rows of the old form.
UPDATE platform SET min_version = 14;
