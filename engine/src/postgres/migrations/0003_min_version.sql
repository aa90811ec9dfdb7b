-- Adds the version that a server must have at least to write. Every guard compares it, so a server
-- that was started before a migration writes nothing after it. A migration that older servers
-- cannot live with raises it.

ALTER TABLE platform ADD COLUMN min_version bigint NOT NULL DEFAULT 0;
-- From here on rows carry checksums, which older servers cannot read.
UPDATE platform SET min_version = 3;
