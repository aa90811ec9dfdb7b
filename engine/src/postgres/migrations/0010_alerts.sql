-- An account says which thresholds are low and what was noted of refusals. A server reads the bytes
-- of earlier accounts and writes new ones. An older server could read neither those nor the new
-- entries.
UPDATE platform SET min_version = 10;
