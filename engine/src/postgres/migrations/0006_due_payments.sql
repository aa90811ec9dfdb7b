-- When the payments of a workspace need attention, in milliseconds since 1970; NULL if no time
-- brings work. The program computes it for the rows that are there.
ALTER TABLE payments ADD COLUMN due_at bigint;
-- Until this time a server is doing the work.
ALTER TABLE payments ADD COLUMN claimed_until bigint NOT NULL DEFAULT 0;
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;

-- An older server would not keep the time.
UPDATE platform SET min_version = 6;
