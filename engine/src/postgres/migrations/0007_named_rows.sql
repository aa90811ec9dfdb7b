-- Charges of a card that a provider does not say more of bring work too. The program computes the
-- times again.

-- From now on the row of an account names the rows of its team and its payments by their checksums.
-- An older server would not read it.
UPDATE platform SET min_version = 7;
