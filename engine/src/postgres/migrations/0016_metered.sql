-- Operations have meters, and a charge can leave its outcome to the platform. An older server could
-- read neither the entries of such charges nor the usage of meters.
UPDATE platform SET min_version = 16;
