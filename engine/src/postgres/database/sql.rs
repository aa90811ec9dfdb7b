//! Every statement that is prepared on a connection, by name. They load and store; none of them decides.
//!
//! Whatever a batch needs goes in one array per column, so that a batch is one statement per table however long it is.
//! Joins name the workspace on both sides, so that a database distributed by workspace keeps them on one node.

/// A prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sql {
    AccountsOf,
    LockAccounts,
    LockAccount,
    Made,
    Named,
    Lots,
    Present,
    PlatformNumber,
    Importing,
    SetImporting,
    PlatformEntries,
    MoveAccounts,
    MoveAndAdd,
    AddAccounts,
    AddEntries,
    AddUsage,
    SetTeams,
    SetLots,
    SetPending,
    EndPending,
    AddMoved,
    MovePlatform,
    Guard,
    Balance,
    Team,
    Workspaces,
    EntriesBefore,
    EntriesAt,
    ChargeWhole,
    Standings,
    GrantsBefore,
    UsageOf,
    Claim,
    Due,
    ClaimThese,
    Counts,
}

/// How a transaction of a lane begins: each statement of it sees what was committed before that statement.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The settings of a connection. What takes too long is given up, and a transaction whose server has fallen silent lets go
/// of its locks. The planner is told what it cannot know of a table that has just begun to grow: that rows are found by
/// their keys, one after the other, in the order they are given in; so they are also locked in that order. What it is told
/// not to do counts as very dear, for which it would compile even the shortest query. A pooler that ignores all this makes
/// nothing wrong, only slower.
pub(crate) const SETTINGS: &str = "-c default_transaction_isolation=read\\ committed \
    -c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=10s \
    -c plan_cache_mode=force_generic_plan -c jit=off \
    -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// All statements with their texts, in the order of the variants.
pub(crate) const ALL: [(Sql, &str); 36] = [
    (
        Sql::AccountsOf,
        "SELECT a.data, a.usage, t.data FROM account AS a LEFT JOIN team AS t ON t.workspace = a.workspace
         WHERE a.workspace = ANY($1::text[])",
    ),
    (
        // Reads nothing: whoever waits for the lock is given the account as it is afterwards, but what is joined to it as
        // it was before.
        Sql::LockAccounts,
        "SELECT FROM account WHERE workspace = ANY($1::text[]) ORDER BY workspace FOR UPDATE",
    ),
    (Sql::LockAccount, "SELECT FROM account WHERE workspace = $1 FOR UPDATE"),
    (
        Sql::Made,
        "SELECT k.place, e.data FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k (workspace, key, place)
         JOIN entry AS e ON e.workspace = k.workspace AND e.key = k.key AND e.key IS NOT NULL",
    ),
    (
        Sql::Named,
        // With where the account is, because what is in memory may be older.
        "SELECT k.place, e.data, t.data, a.n
         FROM unnest($1::text[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS k (workspace, n, id, place)
         LEFT JOIN moved AS m ON m.workspace = k.workspace AND m.id = k.id
         JOIN entry AS e ON e.workspace = k.workspace AND e.n = coalesce(m.n, k.n)
         LEFT JOIN LATERAL (
             SELECT t.data FROM entry AS t
             WHERE t.workspace = e.workspace AND t.opened = e.n AND t.opened IS NOT NULL
             ORDER BY t.n DESC LIMIT 1
         ) AS t ON true
         JOIN account AS a ON a.workspace = e.workspace",
    ),
    (
        Sql::Lots,
        "SELECT k.place, l.data, a.n FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS k (workspace, n, place)
         JOIN lot AS l ON l.workspace = k.workspace AND l.n = k.n
         JOIN account AS a ON a.workspace = l.workspace",
    ),
    (
        Sql::Present,
        "SELECT count(*) FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS k (workspace, n, data)
         JOIN entry AS e ON e.workspace = k.workspace AND e.n = k.n AND e.data = k.data",
    ),
    (Sql::PlatformNumber, "SELECT n FROM platform"),
    (Sql::Importing, "SELECT importing FROM platform"),
    (Sql::SetImporting, "UPDATE platform SET importing = $1"),
    (Sql::PlatformEntries, "SELECT data FROM entry WHERE workspace = $1 AND n > $2 ORDER BY n"),
    (
        Sql::MoveAccounts,
        // Divides by zero when an account, or the platform, is not where the decision saw it.
        "WITH changed AS (
             UPDATE account AS a SET n = v.n, data = v.data, usage = v.usage
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])
                  AS v (workspace, before, n, data, usage)
             WHERE a.workspace = v.workspace AND a.n = v.before
             RETURNING 1
         )
         SELECT 1 / CASE WHEN (SELECT count(*) FROM changed) = cardinality($1) AND $6 = (SELECT n FROM platform)
                    THEN 1 ELSE 0 END",
    ),
    (
        Sql::MoveAndAdd,
        // The two statements that nearly every batch consists of as one, so that it is a transaction by itself. The
        // accounts come first, because the guard asks for them; what nobody asks for is run at the end.
        "WITH changed AS (
             UPDATE account AS a SET n = v.n, data = v.data, usage = v.usage
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])
                  AS v (workspace, before, n, data, usage)
             WHERE a.workspace = v.workspace AND a.n = v.before
             RETURNING 1
         ), added AS (
             INSERT INTO entry (workspace, n, key, opened, data)
             SELECT * FROM unnest($7::text[], $8::bigint[], $9::uuid[], $10::bigint[], $11::bytea[])
         )
         SELECT 1 / CASE WHEN (SELECT count(*) FROM changed) = cardinality($1) AND $6 = (SELECT n FROM platform)
                    THEN 1 ELSE 0 END",
    ),
    (
        Sql::AddAccounts,
        "INSERT INTO account (workspace, n, created_at, data, usage)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])",
    ),
    (
        Sql::AddEntries,
        "INSERT INTO entry (workspace, n, key, opened, data)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bytea[])",
    ),
    (
        Sql::AddUsage,
        "INSERT INTO usage (workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[],
                              $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
         ON CONFLICT (workspace, hour, operation, worker, member, api_key) DO UPDATE
         SET runs = usage.runs + excluded.runs, quantity = usage.quantity + excluded.quantity,
             charged = usage.charged + excluded.charged, refunded = usage.refunded + excluded.refunded",
    ),
    (
        Sql::SetTeams,
        "INSERT INTO team (workspace, data) SELECT * FROM unnest($1::text[], $2::bytea[])
         ON CONFLICT (workspace) DO UPDATE SET data = excluded.data",
    ),
    (
        Sql::SetLots,
        "INSERT INTO lot (workspace, n, data) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])
         ON CONFLICT (workspace, n) DO UPDATE SET data = excluded.data",
    ),
    (
        Sql::SetPending,
        "INSERT INTO pending (workspace, n, charge, deadline, claimed_until)
         SELECT *, 0 FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[])
         ON CONFLICT (workspace, n) DO UPDATE SET deadline = excluded.deadline, claimed_until = 0",
    ),
    (
        Sql::EndPending,
        "DELETE FROM pending AS p USING unnest($1::text[], $2::bigint[]) AS v (workspace, n)
         WHERE p.workspace = v.workspace AND p.n = v.n",
    ),
    (
        Sql::AddMoved,
        "INSERT INTO moved (workspace, id, n) SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[])
         ON CONFLICT (workspace, id) DO NOTHING",
    ),
    (Sql::MovePlatform, "UPDATE platform SET n = $2 WHERE n = $1"),
    (
        Sql::Guard,
        // Divides by zero when an account or the platform is not where the decision saw it, or a key stands already.
        "SELECT 1 / CASE WHEN
             (SELECT count(*) FROM unnest($1::text[], $2::bigint[]) AS v (workspace, n)
              JOIN account AS a ON a.workspace = v.workspace AND a.n = v.n) = cardinality($1)
             AND NOT EXISTS (SELECT FROM unnest($3::text[], $4::uuid[]) AS k (workspace, key)
              JOIN entry AS e ON e.workspace = k.workspace AND e.key = k.key AND e.key IS NOT NULL)
             AND $5 = (SELECT n FROM platform) THEN 1 ELSE 0 END",
    ),
    (Sql::Balance, "SELECT data FROM account WHERE workspace = $1"),
    (
        Sql::Team,
        "SELECT t.data FROM account AS a LEFT JOIN team AS t ON t.workspace = a.workspace WHERE a.workspace = $1",
    ),
    (
        Sql::Workspaces,
        "SELECT data FROM account WHERE (created_at, workspace) < ($1, $2) AND workspace <> $3
         ORDER BY created_at DESC, workspace DESC LIMIT $4",
    ),
    (
        Sql::EntriesBefore,
        "SELECT data FROM entry WHERE workspace = $1 AND n < $2 ORDER BY n DESC LIMIT $3",
    ),
    (Sql::EntriesAt, "SELECT data FROM entry WHERE workspace = $1 AND n = ANY($2::bigint[]) ORDER BY n"),
    (
        Sql::ChargeWhole,
        // One look at one moment: the account (0), the opening (1), and what happened since (2), in order.
        "WITH at AS (SELECT coalesce((SELECT n FROM moved WHERE workspace = $1 AND id = $3), $2) AS n)
         SELECT 0 AS part, n, data FROM account WHERE workspace = $1
         UNION ALL SELECT 1, n, data FROM entry WHERE workspace = $1 AND n = (SELECT n FROM at)
         UNION ALL SELECT 2, n, data FROM entry
             WHERE workspace = $1 AND opened = (SELECT n FROM at) AND opened IS NOT NULL
         ORDER BY part, n",
    ),
    (
        Sql::Standings,
        "SELECT DISTINCT ON (opened) data FROM entry
         WHERE workspace = $1 AND opened = ANY($2::bigint[]) AND opened IS NOT NULL ORDER BY opened, n DESC",
    ),
    (
        Sql::GrantsBefore,
        // The account (without an entry), then lots with the entries that brought them, newest first.
        "SELECT data, NULL::bytea AS entry, NULL::bigint AS n FROM account WHERE workspace = $1
         UNION ALL (
             SELECT l.data, e.data, l.n FROM lot AS l JOIN entry AS e ON e.workspace = l.workspace AND e.n = l.n
             WHERE l.workspace = $1 AND l.n < $2 ORDER BY l.n DESC LIMIT $3
         ) ORDER BY n DESC NULLS FIRST",
    ),
    (
        Sql::UsageOf,
        // The account's present hour (without an operation), then what is kept of other hours.
        "SELECT usage, NULL::bigint AS hour, NULL::text AS operation, NULL::text AS worker, NULL::text AS member,
                NULL::uuid AS api_key, NULL::bigint AS runs, NULL::bigint AS quantity, NULL::bigint AS charged,
                NULL::bigint AS refunded
         FROM account WHERE workspace = $1
         UNION ALL
         SELECT NULL, hour, operation, worker, member, api_key, runs, quantity, charged, refunded
         FROM usage WHERE workspace = $1 AND hour >= $2 AND hour < $3",
    ),
    (
        Sql::Claim,
        "UPDATE pending AS p SET claimed_until = $2 FROM (
             SELECT workspace, n FROM pending WHERE deadline <= $1 AND claimed_until <= $1
             ORDER BY deadline LIMIT $3 FOR UPDATE SKIP LOCKED
         ) AS due
         WHERE p.workspace = due.workspace AND p.n = due.n
         RETURNING p.workspace, p.charge, p.deadline",
    ),
    (
        Sql::Due,
        "SELECT workspace, n FROM pending WHERE deadline <= $1 AND claimed_until <= $1 ORDER BY deadline LIMIT $2",
    ),
    (
        Sql::ClaimThese,
        "UPDATE pending AS p SET claimed_until = $2 FROM unnest($3::text[], $4::bigint[]) AS v (workspace, n)
         WHERE p.workspace = v.workspace AND p.n = v.n AND p.deadline <= $1 AND p.claimed_until <= $1
         RETURNING p.workspace, p.charge, p.deadline",
    ),
    (
        Sql::Counts,
        "SELECT (SELECT coalesce(sum(n), 0)::bigint FROM account), (SELECT count(*) FROM pending)",
    ),
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_statement_stands_in_its_place() {
        for (place, (name, _)) in ALL.iter().enumerate() {
            assert_eq!(*name as usize, place, "{name:?}");
        }
    }
}
