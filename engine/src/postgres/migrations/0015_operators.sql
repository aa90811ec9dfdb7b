-- Operators sign in to the console and act in workspaces. An older server could read neither the
-- entries of their sessions nor those that they cause.
UPDATE platform SET min_version = 15;
