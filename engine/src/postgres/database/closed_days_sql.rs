//! The statements about closed days, apart from the others because they are long and belong
//! together. [`Sql`](super::sql::Sql) names them.
//!
//! A transaction that closes a day, or takes one back, holds the lock of the account's row. So the
//! table `usage` does not change while a day is added up.

/// The next workspaces in the order of their ids, each with whether it has usage from where its
/// days are closed ($3 if none is) to the hour $4.
pub(super) const UNCLOSED_WORKSPACES: &str = "SELECT a.workspace, EXISTS (
        SELECT 1 FROM usage AS u WHERE u.workspace = a.workspace AND u.hour < $4 AND u.hour >= coalesce(
            (SELECT c.until / 3600000 FROM closed_until AS c WHERE c.workspace = a.workspace), $3))
    FROM account AS a WHERE a.workspace > $1 ORDER BY a.workspace LIMIT $2";

/// How far the days of a workspace are closed.
pub(super) const CLOSED_UNTIL: &str = "SELECT timezone, since, until, last FROM closed_until
    WHERE workspace = $1";

/// Where the first row of usage from an hour and minute on begins.
pub(super) const FIRST_USE: &str = "SELECT hour, minute FROM usage WHERE workspace = $1
    AND (hour, minute) >= ($2, $3) ORDER BY hour, minute LIMIT 1";

/// Adds the parts of a closed day, and states that it is closed.
pub(super) const CLOSE_DAY: &str = "WITH added AS (
        INSERT INTO closed_day (workspace, day, part, data)
        SELECT $1::text, $2::bigint, p.part - 1, p.data FROM unnest($3::bytea[]) WITH ORDINALITY AS p (data, part)
    )
    INSERT INTO closed_until (workspace, timezone, since, until, last) VALUES ($1, $4, $5, $6, $2)
    ON CONFLICT (workspace) DO UPDATE SET until = excluded.until, last = excluded.last";

/// Begins anew after a day that cannot be closed; closed days were taken back before.
pub(super) const BEGIN_CLOSED_DAYS: &str = "INSERT INTO closed_until (workspace, timezone, since, until)
    VALUES ($1, $2, $3, $3)";

/// Takes back closed days into which usage falls that is about to be added: that day and all later
/// ones. A day without use has no row; then a day before it is taken back too.
pub(super) const REOPEN_DAYS: &str = "WITH early AS (
        SELECT c.workspace, (
            SELECT max(d.day) FROM closed_day AS d WHERE d.workspace = c.workspace AND d.day <= v.begins
                /*nodes AND d.workspace = ANY($1::text[])*/
        ) AS day
        FROM unnest($1::text[], $2::bigint[]) AS v (workspace, begins)
        JOIN closed_until AS c ON c.workspace = v.workspace AND c.until > v.begins
            /*nodes AND c.workspace = ANY($1::text[])*/
    ), taken AS (
        DELETE FROM closed_day AS d USING early AS e
        WHERE d.workspace = e.workspace AND d.day >= coalesce(e.day, d.day)
            /*nodes AND d.workspace = ANY($1::text[])*/
    ), ended AS (
        DELETE FROM closed_until AS c USING early AS e WHERE c.workspace = e.workspace AND e.day IS NULL
            /*nodes AND c.workspace = ANY($1::text[])*/
    )
    UPDATE closed_until AS c SET until = e.day, last = (
        SELECT max(d.day) FROM closed_day AS d WHERE d.workspace = e.workspace AND d.day < e.day
            /*nodes AND d.workspace = ANY($1::text[])*/
    ) FROM early AS e WHERE c.workspace = e.workspace AND e.day IS NOT NULL
        /*nodes AND c.workspace = ANY($1::text[])*/";

/// Takes back all closed days of workspaces whose time zone is another one now.
pub(super) const FORGET_OTHER_ZONES: &str = "WITH other AS (
        DELETE FROM closed_until AS c USING unnest($1::text[], $2::text[]) AS v (workspace, timezone)
        WHERE c.workspace = v.workspace AND c.timezone <> v.timezone /*nodes AND c.workspace = ANY($1::text[])*/
        RETURNING c.workspace
    )
    DELETE FROM closed_day AS d USING other AS o WHERE d.workspace = o.workspace
        /*nodes AND d.workspace = ANY($1::text[])*/";

/// Takes back all closed days of a workspace.
pub(super) const FORGET_DAYS: &str = "WITH forgotten AS (DELETE FROM closed_until WHERE workspace = $1)
    DELETE FROM closed_day WHERE workspace = $1";

/// The use of a workspace for a report, in one snapshot. The second column says what a row is.
///
/// - NULL: the account's current hour; `runs` is 1 if days that should be closed by $17 are not.
/// - from 1 on: a sum by the slots in which its rows begin and end. $4 has the beginnings of the
///   slots in minutes. A name that is not asked for ($5 to $8, $18 for the meter) is empty. $9 to
///   $12 are names that must be equal, or NULL.
/// - -3: the range from which closed days are taken, until when days are closed, and the last of
///   them. $14 is the time zone, or NULL for no closed days; $15 and $16 are the days of the
///   report.
/// - -1 and -2: a part of a closed day of the range, and the first one behind it.
pub(super) const USAGE_BY_SLOT: &str = "WITH closed AS (
        SELECT greatest(since, $15) AS start, least(until, $16) AS stop, until, last FROM closed_until
        WHERE workspace = $1 AND timezone = $14::text AND greatest(since, $15) < least(until, $16)
    ), hours AS (
        SELECT $2::bigint AS first, coalesce((SELECT start / 3600000 + 1 FROM closed), $3) AS stop
        UNION ALL SELECT (SELECT (stop - 1) / 3600000 FROM closed), $3
    ), late AS (
        SELECT $15 / 3600000 AS first, least(coalesce((SELECT start FROM closed), $16), $17) / 3600000 AS stop
        UNION ALL SELECT (SELECT stop / 3600000 FROM closed), least($16, $17) / 3600000
    )
    SELECT usage, NULL::integer AS slot, NULL::integer AS last, NULL::text AS operation, NULL::text AS worker,
           NULL::text AS member, NULL::uuid AS api_key, (
               SELECT count(*) FROM (
                   SELECT FROM late AS l, LATERAL (
                       SELECT FROM usage AS u WHERE u.workspace = $1 AND u.hour >= l.first AND u.hour < l.stop LIMIT 1
                   ) AS use WHERE $14::text IS NOT NULL LIMIT 1
               ) AS found
           ) AS runs, NULL::bigint AS quantity, NULL::bigint AS charged, NULL::bigint AS refunded
    FROM account WHERE workspace = $1
    UNION ALL SELECT NULL, -3, NULL, NULL, NULL, NULL, NULL, start, stop, until, last FROM closed
    UNION ALL SELECT d.data, -1, NULL, NULL, NULL, NULL, NULL, d.day, d.part, NULL, NULL FROM closed AS c
        JOIN closed_day AS d ON d.day >= c.start AND d.day < c.stop WHERE d.workspace = $1
    UNION ALL (SELECT d.data, -2, NULL, NULL, NULL, NULL, NULL, d.day, d.part, NULL, NULL FROM closed AS c
        JOIN closed_day AS d ON d.day >= c.stop WHERE d.workspace = $1 ORDER BY d.day, d.part LIMIT 1)
    UNION ALL (
        SELECT NULL, u.slot, u.last, u.operation, u.worker, u.member, u.api_key, sum(u.runs)::bigint,
               sum(u.quantity)::bigint, sum(u.charged)::bigint, sum(u.refunded)::bigint
        FROM (
            SELECT width_bucket(hour * 60 + minute, $4::bigint[]) AS slot,
                   width_bucket(hour * 60 + until - 1, $4::bigint[]) AS last,
                   CASE WHEN $5::boolean AND $18::boolean THEN operation
                        WHEN $5::boolean THEN split_part(operation, '/', 1)
                        WHEN $18::boolean AND operation LIKE '%/%' THEN '/' || split_part(operation, '/', 2)
                        ELSE '' END AS operation,
                   CASE WHEN $6::boolean THEN worker ELSE '' END AS worker,
                   CASE WHEN $7::boolean THEN member ELSE '' END AS member,
                   CASE WHEN $8::boolean THEN api_key ELSE '00000000-0000-0000-0000-000000000000' END AS api_key,
                   runs, quantity, charged, refunded
            FROM hours AS h JOIN usage ON hour >= h.first AND hour < h.stop
            WHERE workspace = $1
                AND (hour * 3600000 + minute * 60000 < coalesce((SELECT start FROM closed), 0)
                    OR hour * 3600000 + minute * 60000 >= coalesce((SELECT stop FROM closed), 0))
                AND ($9::text IS NULL OR split_part(operation, '/', 1) = $9) AND ($10::text IS NULL OR worker = $10)
                AND ($11::text IS NULL OR member = $11) AND ($12::uuid IS NULL OR api_key = $12)
        ) AS u GROUP BY u.slot, u.last, u.operation, u.worker, u.member, u.api_key LIMIT $13
    )";
