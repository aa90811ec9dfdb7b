//! The statements of deliveries. They are not prepared on every connection, because one connection
//! runs them.
//!
//! Rows of `unsent` and `owed` are locked in the order of their workspaces, as a batch locks them.

/// Rows with something that no subscriber was given, by the first workspace of each. The table has
/// no index, because batches only add to it, and rows are taken soon.
pub(super) const UNSENT: &str = "SELECT workspace FROM unsent LIMIT $1";

/// Takes the rows of these. What another server takes at the time is waited for and not taken.
pub(super) const TAKE_UNSENT: &str =
    "DELETE FROM unsent WHERE workspace = ANY($1::text[]) RETURNING workspaces, after_n, n";

/// The number of the platform's last entry.
pub(super) const PLATFORM_NUMBER: &str = "SELECT n FROM platform";

/// A row if there is a subscriber with this name.
pub(super) const EXISTS: &str = "SELECT 1 FROM subscriber WHERE name = $1";

/// Gives subscribers what is new. What they were given before and have not been sent stays. Of two
/// servers, the one with the later rows may be first.
pub(super) const ADD_OWED: &str = "INSERT INTO owed (workspace, subscriber, after_n, n, queued_at)
     SELECT *, floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
     ON CONFLICT (workspace, subscriber) DO UPDATE
     SET n = greatest(owed.n, excluded.n), after_n = least(owed.after_n, excluded.after_n)";

/// Removes what is kept of those that are no subscribers.
pub(super) const RETAIN: [&str; 2] = [
    "DELETE FROM owed WHERE subscriber <> ALL($1::text[])",
    "DELETE FROM subscriber WHERE name <> ALL($1::text[])",
];

/// What is kept of a subscriber, and whether something is owed to it.
pub(super) const HAS_WORK: &str =
    "SELECT s.state, EXISTS (SELECT 1 FROM owed AS o WHERE o.subscriber = $1) FROM subscriber AS s
     WHERE s.name = $1";

/// Takes or prolongs a turn; no row if another server has it.
pub(super) const TAKE_TURN: &str =
    "INSERT INTO subscriber (name, state, holder, held_until) VALUES ($1, ''::bytea, $2, $4)
     ON CONFLICT (name) DO UPDATE SET holder = $2, held_until = $4
     WHERE subscriber.holder = $2 OR subscriber.held_until <= $3
     RETURNING state";

/// What is owed to a subscriber, the oldest first; nothing unless the server $3 has its turn.
pub(super) const OWED: &str = "SELECT workspace, after_n, n FROM owed WHERE subscriber = $1
     AND EXISTS (SELECT 1 FROM subscriber WHERE name = $1 AND holder = $3 AND held_until > 0)
     ORDER BY queued_at, workspace LIMIT $2";

/// The entries behind the numbers $2 up to the numbers $3, at most $4 of a workspace, by the
/// position $5 of each workspace. What is behind was not distributed yet, and would be given a
/// second time.
pub(super) const ENTRIES_AFTER: &str = "SELECT v.position, e.data
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $5::bigint[]) AS v (workspace, after_n, n, position),
         LATERAL (SELECT n, data FROM entry
                  WHERE workspace = v.workspace AND n > v.after_n AND n <= v.n /*nodes AND workspace = ANY($1::text[])*/
                  ORDER BY n LIMIT $4) AS e
     ORDER BY v.position, e.n";

/// What is kept of a subscriber.
pub(super) const STATE: &str = "SELECT state FROM subscriber WHERE name = $1";

/// The same, locked, so that two servers do not note at the same time.
pub(super) const LOCK_STATE: &str = "SELECT state FROM subscriber WHERE name = $1 FOR UPDATE";

/// Makes the row of a subscriber that nobody has served yet.
pub(super) const ADD_SUBSCRIBER: &str =
    "INSERT INTO subscriber (name, state, holder, held_until) VALUES ($1, ''::bytea, 0, 0)
     ON CONFLICT (name) DO NOTHING";

/// Replaces what is kept, and prolongs the turn of $3 to $4; 0 ends it.
pub(super) const SET_STATE: &str = "UPDATE subscriber SET state = $2,
     held_until = CASE WHEN holder = $3 THEN $4 ELSE held_until END WHERE name = $1";

/// Moves the places of a subscriber. What is left of a workspace comes after the others.
pub(super) const REACH: &str =
    "UPDATE owed AS o SET after_n = v.n, queued_at = floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint
     FROM unnest($2::text[], $3::bigint[]) AS v (workspace, n)
     WHERE o.workspace = v.workspace AND o.subscriber = $1 AND o.after_n < v.n";

/// Removes what is sent. A newer batch has raised `n`, and its row stays.
pub(super) const REMOVE_SENT: &str =
    "DELETE FROM owed WHERE workspace = ANY($2::text[]) AND subscriber = $1 AND n <= after_n";
