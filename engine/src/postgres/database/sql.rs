//! The prepared statements by name. They load and store rows; no statement contains a business
//! rule.
//!
//! A batch passes its rows as one array per column, so it needs one statement per table, however
//! long it is.
//!
//! On a database that Citus distributes, a batch is about workspaces of one shard. Citus sends a
//! statement to one node if each of its tables is compared with constants of that shard. So the
//! texts have conditions in comments, `/*nodes …*/`, which count there alone (`sql_text`). An
//! INSERT of rows from arrays takes the workspace from the account: `$OWNER` and `$OF_OWNERS`.
//!
//! A *guard* is in each statement that updates accounts, and `CheckGuard` is nothing else. Unless
//! accounts and platform are at the entry numbers that the decision saw, it divides by zero. That
//! aborts the transaction. Every transaction of a batch with entries has at least one guard. A
//! guard also fails if a newer program has migrated the tables and this one is too old for them.

use super::closed_days_sql;

/// The version of the tables that this program reads and writes. In the statements it is written as
/// `$VERSION`.
pub(crate) const VERSION: usize = 17;

/// A prepared statement. The value of a variant is its index in [`ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sql {
    AccountsOf,
    LockAccounts,
    LockAccount,
    FreeAccounts,
    EntriesByKey,
    EntriesById,
    GrantRows,
    CountStoredEntries,
    PlatformNumber,
    Clock,
    Admission,
    IsImporting,
    SetImporting,
    PlatformEntries,
    UpdateAccounts,
    UpdateAccountsAndAddEntries,
    AddAccounts,
    RebuildAccount,
    AddEntries,
    AddUsage,
    SetTeams,
    SetPayments,
    DeletePayments,
    TextsOf,
    AddTexts,
    EraseTexts,
    SetGrantRows,
    SetPending,
    RemovePending,
    RemoveDeadlines,
    RemoveUsage,
    AddForeignIds,
    SetSearchRows,
    RemoveSearchWords,
    AddSearchWords,
    AddUnsent,
    UpdatePlatform,
    CheckGuard,
    Account,
    EntryNumbers,
    Team,
    Payments,
    Texts,
    SearchRows,
    SuspendedSearchRows,
    DebtSearchRows,
    SearchRowsOf,
    NominatedByName,
    NominatedByUse,
    AccountsListed,
    JournalHead,
    EntriesAfter,
    EntriesBefore,
    EntriesByNumber,
    EntriesInOrder,
    ChargeWithEntries,
    LatestChargeStates,
    GrantsBefore,
    UsageOf,
    UsageBySlot,
    UsageForLimits,
    UnclosedWorkspaces,
    ClosedUntil,
    FirstUse,
    CloseDay,
    BeginClosedDays,
    ReopenDays,
    ForgetOtherZones,
    ForgetDays,
    ClaimDueCharges,
    DueCharges,
    ClaimCharges,
    DuePayments,
    ClaimPayments,
    CountAll,
}

/// Begins a transaction of a lane. Each statement sees what was committed before that statement
/// started.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Lifts every time limit of the role from the current transaction. For work that may take hours:
/// migrations, audits and exports. Names the limits that this version of PostgreSQL has.
pub(crate) const WITHOUT_TIME_LIMITS: &str = "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN \
    ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";

/// The settings of a connection.
///
/// - The timeouts cancel statements that take too long, and release the locks of a server that
///   stopped responding.
/// - Statistics of a table that has just begun to grow mislead the planner. With these settings it
///   finds rows by index, one after another, in the order of the arrays. Rows are then also locked
///   in that order.
/// - `enable_…=off` makes a plan look very expensive, for which PostgreSQL would JIT-compile every
///   query: `jit=off`. It would also start parallel workers, which takes longer than the query.
///
/// A connection pooler that ignores these settings costs speed, not correctness.
pub(crate) const SETTINGS: &str = "-c default_transaction_isolation=read\\ committed \
    -c statement_timeout=10s -c lock_timeout=1s -c idle_in_transaction_session_timeout=10s \
    -c plan_cache_mode=force_generic_plan -c jit=off -c max_parallel_workers_per_gather=0 \
    -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// The settings of a connection to a database that Citus distributes. It plans statements about
/// several workspaces with constants only.
pub(crate) const SETTINGS_OF_NODES: &str = "SET plan_cache_mode = force_custom_plan";

/// All statements with their SQL, in the order of the variants.
pub(crate) const ALL: [(Sql, &str); 75] = [
    (
        Sql::AccountsOf,
        // With the last entry of each journal, to which the account is compared. One row for each
        // workspace, also if it has no account.
        "SELECT a.data, a.usage, t.data, k.workspace, a.n, e.n, e.hash, p.data
         FROM unnest($1::text[]) AS k (workspace)
         LEFT JOIN account AS a ON a.workspace = k.workspace /*nodes AND a.workspace = ANY($1::text[])*/
         LEFT JOIN team AS t ON t.workspace = k.workspace /*nodes AND t.workspace = ANY($1::text[])*/
         LEFT JOIN payments AS p ON p.workspace = k.workspace /*nodes AND p.workspace = ANY($1::text[])*/
         LEFT JOIN LATERAL (
             SELECT l.n, sha256(l.data) AS hash FROM entry AS l
             WHERE l.workspace = k.workspace /*nodes AND l.workspace = ANY($1::text[])*/
             ORDER BY l.n DESC LIMIT 1
         ) AS e ON true",
    ),
    (
        // Locks only. After waiting for a lock, PostgreSQL re-reads the locked row but not the rows
        // joined to it. A join here could combine two moments.
        Sql::LockAccounts,
        "SELECT FROM account WHERE workspace = ANY($1::text[]) ORDER BY workspace FOR UPDATE",
    ),
    (Sql::LockAccount, "SELECT FROM account WHERE workspace = $1 FOR UPDATE"),
    (
        // Locks the accounts that no other session has locked, without waiting. A workspace without
        // an account is free too.
        Sql::FreeAccounts,
        "WITH free AS (SELECT workspace FROM account WHERE workspace = ANY($1::text[]) FOR UPDATE SKIP LOCKED)
         SELECT workspace FROM free
         UNION ALL SELECT w.workspace FROM unnest($1::text[]) AS w (workspace)
             WHERE NOT EXISTS (SELECT 1 FROM account AS a
                 WHERE a.workspace = w.workspace /*nodes AND a.workspace = ANY($1::text[])*/)",
    ),
    (
        Sql::EntriesByKey,
        "SELECT k.position, e.data FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k (workspace, key, position)
         JOIN entry AS e ON e.workspace = k.workspace AND e.key = k.key AND e.key IS NOT NULL
             /*nodes AND e.workspace = ANY($1::text[])*/",
    ),
    (
        Sql::EntriesById,
        // Includes the account's last entry number, because the account in memory may be older.
        "SELECT k.position, e.data, t.data, a.n
         FROM unnest($1::text[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS k (workspace, n, id, position)
         LEFT JOIN moved AS m ON m.workspace = k.workspace AND m.id = k.id /*nodes AND m.workspace = ANY($1::text[])*/
         JOIN entry AS e ON e.workspace = k.workspace AND e.n = coalesce(m.n, k.n)
             /*nodes AND e.workspace = ANY($1::text[])*/
         LEFT JOIN LATERAL (
             SELECT t.data FROM entry AS t
             WHERE t.workspace = e.workspace AND t.opened = e.n AND t.opened IS NOT NULL
                 /*nodes AND t.workspace = ANY($1::text[])*/
             ORDER BY t.n DESC LIMIT 1
         ) AS t ON true
         JOIN account AS a ON a.workspace = e.workspace /*nodes AND a.workspace = ANY($1::text[])*/",
    ),
    (
        Sql::GrantRows,
        "SELECT k.position, l.data, a.n FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS k (workspace, n, position)
         JOIN lot AS l ON l.workspace = k.workspace AND l.n = k.n /*nodes AND l.workspace = ANY($1::text[])*/
         JOIN account AS a ON a.workspace = l.workspace /*nodes AND a.workspace = ANY($1::text[])*/",
    ),
    (
        Sql::CountStoredEntries,
        "SELECT count(*) FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS k (workspace, n, data)
         JOIN entry AS e ON e.workspace = k.workspace AND e.n = k.n AND e.data = k.data
             /*nodes AND e.workspace = ANY($1::text[])*/",
    ),
    (Sql::PlatformNumber, "SELECT n FROM platform"),
    (Sql::Clock, "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
    (
        Sql::Admission,
        "SELECT current_setting('transaction_read_only') = 'off', (SELECT min_version FROM platform) <= $VERSION",
    ),
    (Sql::IsImporting, "SELECT importing FROM platform"),
    (Sql::SetImporting, "UPDATE platform SET importing = $1"),
    (Sql::PlatformEntries, "SELECT data FROM entry WHERE workspace = $1 AND n > $2 ORDER BY n"),
    (
        Sql::UpdateAccounts,
        // Guard: every account and the platform are at the entry numbers that the decision saw.
        "WITH changed AS (
             UPDATE account AS a SET n = v.n, data = v.data, usage = v.usage
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])
                  AS v (workspace, before, n, data, usage)
             WHERE a.workspace = v.workspace AND a.n = v.before /*nodes AND a.workspace = ANY($1::text[])*/
             RETURNING 1
         )
         SELECT 1 / CASE WHEN (SELECT count(*) FROM changed) = cardinality($1) AND $6 = (SELECT n FROM platform WHERE min_version <= $VERSION)
                    THEN 1 ELSE 0 END",
    ),
    (
        Sql::UpdateAccountsAndAddEntries,
        // UpdateAccounts and AddEntries in one statement, which is a transaction by itself. Nearly
        // every batch needs only these two. The guard reads `changed`, so accounts are updated
        // first; PostgreSQL runs `added`, which nothing reads, at the end.
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
         SELECT 1 / CASE WHEN (SELECT count(*) FROM changed) = cardinality($1) AND $6 = (SELECT n FROM platform WHERE min_version <= $VERSION)
                    THEN 1 ELSE 0 END",
    ),
    (
        Sql::AddAccounts,
        "INSERT INTO account (workspace, n, created_at, data, usage)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])",
    ),
    (
        Sql::RebuildAccount,
        "INSERT INTO account (workspace, n, created_at, data, usage) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (workspace) DO UPDATE SET n = excluded.n, created_at = excluded.created_at,
             data = excluded.data, usage = excluded.usage",
    ),
    (
        Sql::AddEntries,
        "INSERT INTO entry (workspace, n, key, opened, data)
         SELECT $OWNER, v.n, v.key, v.opened, v.data
         FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bytea[])
              AS v (workspace, n, key, opened, data) $OF_OWNERS",
    ),
    (
        Sql::AddUsage,
        "INSERT INTO usage (workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded,
                            minute, until)
         SELECT $OWNER, v.hour, v.operation, v.worker, v.member, v.api_key, v.runs, v.quantity, v.charged, v.refunded,
                v.minute, v.until
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bigint[],
                     $8::bigint[], $9::bigint[], $10::bigint[], $11::smallint[], $12::smallint[])
              AS v (workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded, minute,
                    until) $OF_OWNERS
         ON CONFLICT (workspace, hour, minute, until, operation, worker, member, api_key) DO UPDATE
         SET runs = usage.runs + excluded.runs, quantity = usage.quantity + excluded.quantity,
             charged = usage.charged + excluded.charged, refunded = usage.refunded + excluded.refunded",
    ),
    (
        Sql::SetTeams,
        "INSERT INTO team (workspace, data)
         SELECT $OWNER, v.data FROM unnest($1::text[], $2::bytea[]) AS v (workspace, data) $OF_OWNERS
         ON CONFLICT (workspace) DO UPDATE SET data = excluded.data",
    ),
    (
        Sql::SetPayments,
        "INSERT INTO payments (workspace, data, due_at)
         SELECT $OWNER, v.data, v.due_at
         FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS v (workspace, data, due_at) $OF_OWNERS
         ON CONFLICT (workspace) DO UPDATE
         SET data = excluded.data, due_at = excluded.due_at, claimed_until = 0",
    ),
    (Sql::DeletePayments, "DELETE FROM payments WHERE workspace = $1"),
    (
        // For each member whether a text is there and whether one was, and the two texts with these
        // digests.
        Sql::TextsOf,
        "SELECT k.position, kept.one IS NOT NULL, stored.one IS NOT NULL, a.salt, a.text, b.salt, b.text
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])
              WITH ORDINALITY AS k (workspace, member, a, b, position)
         LEFT JOIN LATERAL (
             SELECT 1 AS one FROM personal AS p
             WHERE p.workspace = k.workspace AND p.member = k.member AND p.text IS NOT NULL
                 /*nodes AND p.workspace = ANY($1::text[])*/ LIMIT 1
         ) AS kept ON true
         LEFT JOIN LATERAL (
             SELECT 1 AS one FROM personal AS p
             WHERE p.workspace = k.workspace AND p.member = k.member
                 /*nodes AND p.workspace = ANY($1::text[])*/ LIMIT 1
         ) AS stored ON true
         LEFT JOIN personal AS a ON a.workspace = k.workspace AND a.member = k.member AND a.digest = k.a
             /*nodes AND a.workspace = ANY($1::text[])*/
         LEFT JOIN personal AS b ON b.workspace = k.workspace AND b.member = k.member AND b.digest = k.b
             /*nodes AND b.workspace = ANY($1::text[])*/",
    ),
    (
        Sql::AddTexts,
        "INSERT INTO personal (workspace, member, digest, n, salt, text)
         SELECT $OWNER, v.member, v.digest, v.n, v.salt, v.text
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[])
              AS v (workspace, member, digest, n, salt, text) $OF_OWNERS
         ON CONFLICT (workspace, member, digest) DO NOTHING",
    ),
    (
        Sql::EraseTexts,
        "UPDATE personal AS p SET salt = NULL, text = NULL FROM unnest($1::text[], $2::text[]) AS v (workspace, member)
         WHERE p.workspace = v.workspace AND p.member = v.member AND p.text IS NOT NULL
             /*nodes AND p.workspace = ANY($1::text[])*/",
    ),
    (
        Sql::SetGrantRows,
        "INSERT INTO lot (workspace, n, data)
         SELECT $OWNER, v.n, v.data
         FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS v (workspace, n, data) $OF_OWNERS
         ON CONFLICT (workspace, n) DO UPDATE SET data = excluded.data",
    ),
    (
        Sql::SetPending,
        "INSERT INTO pending (workspace, n, charge, deadline, claimed_until)
         SELECT $OWNER, v.n, v.charge, v.deadline, 0
         FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::bigint[]) AS v (workspace, n, charge, deadline) $OF_OWNERS
         ON CONFLICT (workspace, n) DO UPDATE SET deadline = excluded.deadline, claimed_until = 0",
    ),
    (
        Sql::RemovePending,
        "DELETE FROM pending AS p USING unnest($1::text[], $2::bigint[]) AS v (workspace, n)
         WHERE p.workspace = v.workspace AND p.n = v.n /*nodes AND p.workspace = ANY($1::text[])*/",
    ),
    (Sql::RemoveDeadlines, "DELETE FROM pending WHERE workspace = $1"),
    (Sql::RemoveUsage, "DELETE FROM usage WHERE workspace = $1"),
    (
        Sql::AddForeignIds,
        // Before the account, which may be new, so it does not join it.
        "INSERT INTO moved (workspace, id, n) SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[])
         ON CONFLICT (workspace, id) DO NOTHING",
    ),
    (
        Sql::SetSearchRows,
        "INSERT INTO search (workspace, created_at, name, suspended, debt, used_day)
         SELECT $OWNER, v.created_at, v.name, v.suspended, v.debt, v.used_day
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bool[], $5::bool[], $6::bigint[])
              AS v (workspace, created_at, name, suspended, debt, used_day) $OF_OWNERS
         ON CONFLICT (workspace) DO UPDATE SET created_at = excluded.created_at, name = excluded.name,
             suspended = excluded.suspended, debt = excluded.debt, used_day = excluded.used_day",
    ),
    (Sql::RemoveSearchWords, "DELETE FROM search_word WHERE workspace = ANY($1::text[])"),
    (
        Sql::AddSearchWords,
        "INSERT INTO search_word (workspace, word, created_at)
         SELECT $OWNER, v.word, v.created_at
         FROM unnest($1::text[], $2::text[], $3::bigint[]) AS v (workspace, word, created_at) $OF_OWNERS",
    ),
    (
        Sql::AddUnsent,
        "INSERT INTO unsent (workspace, workspaces, after_n, n)
         VALUES ($1, $2::text[], $3::bigint[], $4::bigint[])",
    ),
    (Sql::UpdatePlatform, "UPDATE platform SET n = $2 WHERE n = $1"),
    (
        Sql::CheckGuard,
        // Guard for what a batch relied on without writing it. Accounts and platform are at the
        // entry numbers that the decision saw, and the idempotency keys are still free. Also tells
        // whether commits wait for a standby.
        "SELECT current_setting('synchronous_standby_names') <> '', 1 / CASE WHEN
             (SELECT count(*) FROM unnest($1::text[], $2::bigint[]) AS v (workspace, n)
              JOIN account AS a ON a.workspace = v.workspace AND a.n = v.n /*nodes AND a.workspace = ANY($1::text[])*/
             ) = cardinality($1)
             AND NOT EXISTS (SELECT 1 FROM unnest($3::text[], $4::uuid[]) AS k (workspace, key)
              JOIN entry AS e ON e.workspace = k.workspace AND e.key = k.key AND e.key IS NOT NULL
                  /*nodes AND e.workspace = ANY($3::text[])*/)
             AND $5 = (SELECT n FROM platform WHERE min_version <= $VERSION) THEN 1 ELSE 0 END",
    ),
    (Sql::Account, "SELECT data FROM account WHERE workspace = $1"),
    (Sql::EntryNumbers, "SELECT workspace, n FROM account WHERE workspace = ANY($1::text[])"),
    (
        Sql::Team,
        // The version of a team, and unless it is $2 the team itself and the account that names it.
        "SELECT v.version, CASE WHEN v.version = $2 THEN NULL ELSE t.data END,
                CASE WHEN v.version = $2 THEN NULL ELSE a.data END
         FROM account AS a LEFT JOIN team AS t ON t.workspace = a.workspace
         LEFT JOIN LATERAL (SELECT t.xmin::text || ' ' || encode(substr(t.data, 1, 5), 'hex') AS version) AS v ON true
         WHERE a.workspace = $1",
    ),
    (
        Sql::Payments,
        "SELECT p.data, a.data FROM account AS a LEFT JOIN payments AS p ON p.workspace = a.workspace
         WHERE a.workspace = $1",
    ),
    (
        Sql::Texts,
        "SELECT k.position, p.salt, p.text FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS k (member, digest, position)
         JOIN personal AS p ON p.workspace = $1 AND p.member = k.member AND p.digest = k.digest",
    ),
    (
        Sql::SearchRows,
        "SELECT created_at, workspace, name, suspended, debt, used_day FROM search
         WHERE (created_at, workspace) < ($1, $2) ORDER BY created_at DESC, workspace DESC LIMIT $3",
    ),
    (
        Sql::SuspendedSearchRows,
        "SELECT created_at, workspace, name, suspended, debt, used_day FROM search
         WHERE suspended AND (created_at, workspace) < ($1, $2) ORDER BY created_at DESC, workspace DESC LIMIT $3",
    ),
    (
        Sql::DebtSearchRows,
        "SELECT created_at, workspace, name, suspended, debt, used_day FROM search
         WHERE debt AND (created_at, workspace) < ($1, $2) ORDER BY created_at DESC, workspace DESC LIMIT $3",
    ),
    (
        Sql::SearchRowsOf,
        "SELECT created_at, workspace, name, suspended, debt, used_day FROM search WHERE workspace = ANY($1::text[])
         ORDER BY created_at DESC, workspace DESC",
    ),
    (
        Sql::NominatedByName,
        "SELECT created_at, workspace FROM search_word WHERE word >= $1 AND word < $2 LIMIT $3",
    ),
    (Sql::NominatedByUse, "SELECT created_at, workspace FROM search WHERE used_day <= $1 LIMIT $2"),
    (Sql::AccountsListed, "SELECT workspace, data FROM account WHERE workspace = ANY($1::text[])"),
    (
        Sql::JournalHead,
        "SELECT coalesce(sum(n), 0)::bigint,
                sha256(coalesce(string_agg(sha256(data), ''::bytea ORDER BY workspace), ''::bytea)) FROM account",
    ),
    (
        Sql::EntriesAfter,
        "SELECT data FROM entry WHERE workspace = $1 AND n > $2 ORDER BY n LIMIT $3",
    ),
    (
        Sql::EntriesBefore,
        "SELECT data FROM entry WHERE workspace = $1 AND n < $2 ORDER BY n DESC LIMIT $3",
    ),
    (Sql::EntriesByNumber, "SELECT data FROM entry WHERE workspace = $1 AND n = ANY($2::bigint[]) ORDER BY n"),
    (
        Sql::EntriesInOrder,
        // Of all workspaces, by the primary key. No row changes, so several statements agree.
        "SELECT workspace, n, data FROM entry WHERE (workspace, n) > ($1, $2) ORDER BY workspace, n LIMIT $3",
    ),
    (
        Sql::ChargeWithEntries,
        // One snapshot: the account (part 0), the entry that opened the charge (1), and the newest
        // $4 entries about it (2). Older ones are heartbeats: no refund comes before them.
        "WITH at AS (SELECT coalesce((SELECT n FROM moved WHERE workspace = $1 AND id = $3), $2) AS n)
         SELECT 0 AS part, n, data FROM account WHERE workspace = $1
         UNION ALL SELECT 1, n, data FROM entry WHERE workspace = $1 AND n = (SELECT n FROM at)
         UNION ALL (SELECT 2, n, data FROM entry
             WHERE workspace = $1 AND opened = (SELECT n FROM at) AND opened IS NOT NULL ORDER BY n DESC LIMIT $4)
         ORDER BY part, n",
    ),
    (
        Sql::LatestChargeStates,
        // One look-up for each charge, however many entries are about it.
        "SELECT e.data FROM unnest($2::bigint[]) AS k (opened) CROSS JOIN LATERAL (
             SELECT data FROM entry
             WHERE workspace = $1 AND opened = k.opened AND opened IS NOT NULL ORDER BY n DESC LIMIT 1
         ) AS e",
    ),
    (
        Sql::GrantsBefore,
        // The account first (its entry is NULL), then grants with the entries that created them,
        // newest first.
        "SELECT data, NULL::bytea AS entry, NULL::bigint AS n FROM account WHERE workspace = $1
         UNION ALL (
             SELECT l.data, e.data, l.n FROM lot AS l JOIN entry AS e ON e.workspace = l.workspace AND e.n = l.n
             WHERE l.workspace = $1 AND l.n < $2 ORDER BY l.n DESC LIMIT $3
         ) ORDER BY n DESC NULLS FIRST",
    ),
    (
        Sql::UsageOf,
        // The account's current hour first (its operation is NULL), then the rows of the usage
        // table.
        "SELECT usage, NULL::bigint AS hour, NULL::text AS operation, NULL::text AS worker, NULL::text AS member,
                NULL::uuid AS api_key, NULL::bigint AS runs, NULL::bigint AS quantity, NULL::bigint AS charged,
                NULL::bigint AS refunded, NULL::smallint AS minute, NULL::smallint AS until
         FROM account WHERE workspace = $1
         UNION ALL
         SELECT NULL, hour, operation, worker, member, api_key, runs, quantity, charged, refunded, minute, until
         FROM usage WHERE workspace = $1 AND hour >= $2 AND hour < $3",
    ),
    (Sql::UsageBySlot, closed_days_sql::USAGE_BY_SLOT),
    (
        Sql::UsageForLimits,
        // The account's entry number first, then sums of usage. Hours from $3 to $4 are one, and so
        // are the names that are not asked for.
        "SELECT NULL::bytea AS usage, NULL::bigint AS hour, NULL::text AS operation, NULL::text AS worker,
                NULL::text AS member, NULL::uuid AS api_key, NULL::bigint AS runs, NULL::bigint AS quantity,
                NULL::bigint AS charged, NULL::bigint AS refunded, NULL::smallint AS minute,
                NULL::smallint AS until, n, NULL::bigint AS rows
         FROM account WHERE workspace = $1
         UNION ALL
         SELECT NULL, u.hour, u.operation, u.worker, u.member, u.api_key, sum(u.runs)::bigint,
                sum(u.quantity)::bigint, sum(u.charged)::bigint, sum(u.refunded)::bigint, u.minute, u.until,
                NULL, count(*)
         FROM (
             SELECT CASE WHEN hour >= $3 AND hour < $4 THEN $3 ELSE hour END AS hour,
                    CASE WHEN hour >= $3 AND hour < $4 THEN 0::smallint ELSE minute END AS minute,
                    CASE WHEN hour >= $3 AND hour < $4 THEN 60::smallint ELSE until END AS until,
                    CASE WHEN operation = ANY($5::text[]) THEN operation ELSE $9::text END AS operation,
                    CASE WHEN worker = ANY($6::text[]) THEN worker ELSE '' END AS worker,
                    CASE WHEN member = ANY($7::text[]) THEN member ELSE '' END AS member,
                    CASE WHEN api_key = ANY($8::uuid[]) THEN api_key
                         ELSE '00000000-0000-0000-0000-000000000000' END AS api_key,
                    runs, quantity, charged, refunded
             FROM usage WHERE workspace = $1 AND hour >= $2
         ) AS u GROUP BY u.hour, u.minute, u.until, u.operation, u.worker, u.member, u.api_key",
    ),
    (Sql::UnclosedWorkspaces, closed_days_sql::UNCLOSED_WORKSPACES),
    (Sql::ClosedUntil, closed_days_sql::CLOSED_UNTIL),
    (Sql::FirstUse, closed_days_sql::FIRST_USE),
    (Sql::CloseDay, closed_days_sql::CLOSE_DAY),
    (Sql::BeginClosedDays, closed_days_sql::BEGIN_CLOSED_DAYS),
    (Sql::ReopenDays, closed_days_sql::REOPEN_DAYS),
    (Sql::ForgetOtherZones, closed_days_sql::FORGET_OTHER_ZONES),
    (Sql::ForgetDays, closed_days_sql::FORGET_DAYS),
    (
        Sql::ClaimDueCharges,
        "UPDATE pending AS p SET claimed_until = $2 FROM (
             SELECT workspace, n FROM pending WHERE deadline <= $1 AND claimed_until <= $1
             ORDER BY deadline LIMIT $3 FOR UPDATE SKIP LOCKED
         ) AS due
         WHERE p.workspace = due.workspace AND p.n = due.n
         RETURNING p.workspace, p.charge, p.deadline",
    ),
    (
        Sql::DueCharges,
        "SELECT workspace, n FROM pending WHERE deadline <= $1 AND claimed_until <= $1 ORDER BY deadline LIMIT $2",
    ),
    (
        Sql::ClaimCharges,
        "UPDATE pending AS p SET claimed_until = $2 FROM unnest($3::text[], $4::bigint[]) AS v (workspace, n)
         WHERE p.workspace = v.workspace AND p.n = v.n AND p.deadline <= $1 AND p.claimed_until <= $1
             /*nodes AND p.workspace = ANY($3::text[])*/
         RETURNING p.workspace, p.charge, p.deadline",
    ),
    (
        Sql::DuePayments,
        "SELECT workspace, due_at FROM payments WHERE due_at <= $1 AND (due_at, workspace) > ($2, $3)
         ORDER BY due_at, workspace LIMIT $4",
    ),
    (
        Sql::ClaimPayments,
        "UPDATE payments AS p SET claimed_until = $2 FROM unnest($3::text[]) AS v (workspace)
         WHERE p.workspace = v.workspace AND p.due_at <= $1 AND p.claimed_until <= $1
             /*nodes AND p.workspace = ANY($3::text[])*/
         RETURNING p.workspace",
    ),
    (
        Sql::CountAll,
        // Exact up to some size, so that it takes a bounded time. Beyond it, the statistics of the
        // last VACUUM or ANALYZE.
        "SELECT (SELECT CASE WHEN counted <= 10000 THEN entries
                 ELSE greatest(entries, (SELECT reltuples::bigint FROM pg_class WHERE oid = 'entry'::regclass)) END
          FROM (SELECT count(*) AS counted, coalesce(sum(n), 0)::bigint AS entries
                FROM (SELECT n FROM account LIMIT 10001) AS first_rows) AS bounded),
         (SELECT CASE WHEN counted <= 10000 THEN counted
                 ELSE greatest(counted, (SELECT reltuples::bigint FROM pg_class WHERE oid = 'pending'::regclass)) END
          FROM (SELECT count(*) AS counted FROM (SELECT 1 FROM pending LIMIT 10001) AS first_rows) AS bounded)",
    ),
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_statement_is_at_the_index_of_its_variant() {
        for (index, (name, _)) in ALL.iter().enumerate() {
            assert_eq!(*name as usize, index, "{name:?}");
        }
    }
}
