-- A team says who gets mails. A server reads the bytes of earlier teams and writes new ones. An
-- older server could read neither those nor the new entries.
UPDATE platform SET min_version = 13;
