-- Usage is counted in two parts where a day of the workspace begins within an hour. A row covers
-- the minutes of its hour from `minute` until `until`; the rows that are there cover whole hours.
ALTER TABLE usage ADD COLUMN minute smallint NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN until smallint NOT NULL DEFAULT 60;
ALTER TABLE usage DROP CONSTRAINT usage_pkey,
    ADD PRIMARY KEY (workspace, hour, minute, until, operation, worker, member, api_key);

-- An older server would add up both parts, and cannot read the current hour of a newer one.
UPDATE platform SET min_version = 9;
