-- The payments of a workspace, apart because they can be many and no charge changes them.
CREATE TABLE payments (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    data bytea NOT NULL
);
ALTER TABLE payments ALTER COLUMN data SET STORAGE EXTERNAL;

-- An older server cannot read the entries of payments.
UPDATE platform SET min_version = 5;
