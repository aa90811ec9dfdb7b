-- Closed days: what a workspace used on each day of its time zone, added up. They are made from the
-- table `usage`, and are taken back if it changes before `until`.
CREATE TABLE closed_until (
    workspace text COLLATE "C" NOT NULL PRIMARY KEY,
    timezone text COLLATE "C" NOT NULL,
    -- The beginnings of the first closed day and of the first day after them, in milliseconds since
    -- 1970.
    since bigint NOT NULL,
    until bigint NOT NULL,
    -- The beginning of the last closed day with use; NULL if there is none.
    last bigint
);

CREATE TABLE closed_day (
    workspace text COLLATE "C" NOT NULL,
    -- The beginning of the day, in milliseconds since 1970.
    day bigint NOT NULL,
    part bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (workspace, day, part)
);
-- Small numbers do not compress, so compression would only cost time.
ALTER TABLE closed_day ALTER COLUMN data SET STORAGE EXTERNAL;

-- An older server would not take back a day that is closed.
UPDATE platform SET min_version = 12;
