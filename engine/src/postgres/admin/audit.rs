//! Audit: recomputes every number from the entries and reports the first disagreement.
//!
//! It reads all tables side by side, in the order of the workspaces. Each workspace is replayed
//! from its first entry: numbers, the links of the hash chain, balances, grants, prices, and the
//! life of every charge. Then it compares the stored account, team, usage, grants, pending charges,
//! keys, ids and what the workspace is found by with what it recomputed. It can also report what
//! the rules of today would decide otherwise ([`audit_with`]).
//!
//! All reads see one snapshot of the database, so servers may run meanwhile. The memory holds one
//! workspace at a time; what can be many of it is summed up or lies in a temporary file.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};
use tollkeeper_ledger::{
    Account, Charge, ChargeId, Entry, EntryBody, Grant, Id, Payments, Platform, Status, Timestamp,
    WorkspaceId,
};

use super::audit_rules::usage_since;
use super::audit_texts::AuditedTexts;
use super::tables::{Stop, Tables};
use crate::audit::rules::{Asked, Facts};
use crate::audit::{
    AuditDisagreement, AuditOptions, AuditReport, ChargeLife, ClosedDaysAudit, DisagreementKind, GrantRows,
    PlatformHistory, Recomputed, RuleFindings, Scratch, Sketch, Sketcher, life_disagrees, price_disagrees,
};
use crate::closed_days::DayPart;
use crate::hash::digest;
use crate::postgres::database::blocking::block_on;
use crate::postgres::database::config;
use crate::postgres::database::decode::{
    check_companions, closed_until, decode_current_usage, decode_entry, decode_grant, decode_usage_row,
    decode_whole_account,
};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema;
use crate::postgres::database::session::{Uuid, column, connect};
use crate::postgres::ids::{key_digest, number_in};
use crate::workspace_search::{SearchRow, words};
use crate::{Error, answer};

/// Recomputes everything from the entries; servers may run meanwhile. Blocks the calling thread,
/// which must not be a thread of a runtime.
///
/// # Errors
/// [`Error::is_unavailable`] or [`Error::is_unusable`] if the database cannot be read. A
/// disagreement is no error; it is in the report.
pub fn audit(url: &str) -> Result<AuditReport, Error> {
    audit_with(url, AuditOptions::default())
}

/// The same with options.
///
/// # Errors
/// As [`audit`], and when there is no room for a temporary file.
pub fn audit_with(url: &str, options: AuditOptions) -> Result<AuditReport, Error> {
    let config = config::parse(url)?;
    block_on(async {
        let client = connect(&config).await.map_err(Failure::into_error)?;
        schema::require_version(&client).await.map_err(Failure::into_error)?;
        let scratch = Scratch::new(options.memory_bytes / 4)?;
        let sketcher = Sketcher::new()?;
        let mut auditor = Auditor {
            client: &client,
            tables: Tables::open(&client).await.map_err(Failure::into_error)?,
            options,
            sketcher,
            scratch,
            platform: Platform::default(),
            history: PlatformHistory::default(),
            report: AuditReport {
                rules: options.rules.then(RuleFindings::default),
                ..AuditReport::default()
            },
        };
        match auditor.run().await {
            Ok(()) => {}
            Err(Stop::Disagreement(found)) => auditor.report.disagreement = Some(found),
            Err(Stop::Failure(failure)) => return Err(failure.into_error()),
            Err(Stop::Scratch(error)) => return Err(error),
        }
        Ok(auditor.report)
    })
}

/// An audit under way.
struct Auditor<'a> {
    client: &'a Client,
    tables: Tables<'a>,
    options: AuditOptions,
    sketcher: Sketcher,
    /// The charges of the current workspace that are pending or were changed, by the number of the
    /// entry that opened them; and its spent grants.
    scratch: Scratch,
    platform: Platform,
    history: PlatformHistory,
    report: AuditReport,
}

/// A workspace that is recomputed.
struct Workspace {
    name: String,
    recomputed: Recomputed,
    /// The number of its pending charges.
    pending: u64,
    texts: AuditedTexts,
    /// True if the stored account includes entries that the journal lacks.
    has_lost_entries: bool,
}

impl Workspace {
    fn is_platform(&self) -> bool {
        self.name == WorkspaceId::platform().as_str()
    }

    fn account(&self) -> &Account {
        &self.recomputed.account
    }

    /// The journal disagrees; for anything else the caller adds the kind ([`Stop::of`]).
    fn disagrees(&self, entry: Option<u64>, what: impl Into<String>) -> Stop {
        let workspace = match self.is_platform() {
            true => Some(WorkspaceId::platform()),
            false => WorkspaceId::new(self.name.as_str()).ok(),
        };
        Stop::Disagreement(AuditDisagreement {
            kind: DisagreementKind::Journal,
            workspace,
            entry,
            what: what.into(),
        })
    }

    /// Compares the columns of an entry's row with its decoded bytes: number, key and opened
    /// charge.
    fn check_columns(&self, row: &Row, entry: &Entry) -> Result<(), Stop> {
        let n: i64 = column(row, 1)?;
        if entry.n as i64 != n {
            return Err(self.disagrees(Some(n as u64), "it is stored under another number"));
        }
        if column::<Option<Uuid>>(row, 2)? != entry.key.as_ref().map(key_digest) {
            return Err(self.disagrees(Some(entry.n), "it is not stored under its idempotency key"));
        }
        let opening_entry = entry.body.charge().and_then(|(_, opening_entry)| opening_entry);
        if column::<Option<i64>>(row, 3)? != opening_entry.map(|n| n as i64) {
            return Err(self.disagrees(Some(entry.n), "it refers to another charge"));
        }
        Ok(())
    }
}

impl Auditor<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        let mut platform_n = 0;
        // The name of the platform, `*`, sorts before all workspace ids, so prices are known before
        // charges.
        while let Some(name) = self.tables.first_workspace().await? {
            let workspace = self.audit_workspace(&name).await?;
            if workspace.is_platform() {
                platform_n = workspace.account().chain.n;
            } else {
                self.report.add(workspace.account());
            }
        }
        let row = self.client.query_one("SELECT n FROM platform", &[]).await?;
        if column::<i64>(&row, 0)? as u64 != platform_n {
            let differs = Error::damaged("the platform's entry number differs from its journal");
            return Err(Stop::from(differs).of(DisagreementKind::Derived, &WorkspaceId::platform()));
        }
        self.check_keys_unique().await
    }

    /// Recomputes a workspace and compares everything stored of it.
    async fn audit_workspace(&mut self, name: &str) -> Result<Workspace, Stop> {
        let id = match name == WorkspaceId::platform().as_str() {
            true => WorkspaceId::platform(),
            false => WorkspaceId::new(name).map_err(|_| Error::damaged("a workspace id is invalid"))?,
        };
        self.scratch.forget().map_err(Stop::Scratch)?;
        let recomputed = Recomputed::new(0, id.clone(), self.options.rules);
        let mut texts = AuditedTexts::default();
        while let Some(row) = self.tables.texts.next_of(name).await? {
            texts.add(&row).map_err(|error| Stop::from(error).of(DisagreementKind::Text, &id))?;
        }
        let mut workspace =
            Workspace { name: name.to_owned(), recomputed, pending: 0, texts, has_lost_entries: false };
        while let Some(row) = self.tables.entries.next_of(name).await? {
            self.replay_entry(&mut workspace, &row).await?;
        }
        while self.tables.foreign_ids.next_of(name).await?.is_some() {}
        let compared = self.compare(&mut workspace).await;
        compared.map_err(|stop| match workspace.has_lost_entries {
            true => stop.of(DisagreementKind::Journal, &id),
            false => stop.of(DisagreementKind::Derived, &id),
        })?;
        let ((texts, erased), what) = workspace.texts.finish();
        if let Some(what) = what {
            return Err(workspace.disagrees(None, what).of(DisagreementKind::Text, &id));
        }
        self.report.texts += texts;
        self.report.texts_erased += erased;
        let missing = workspace.recomputed.rules.as_ref().and_then(|rules| rules.missing());
        if let (Some(what), Some(findings)) = (missing, &mut self.report.rules) {
            findings.add(&workspace.account().profile.id, workspace.account().chain.n, what);
        }
        Ok(workspace)
    }

    /// Checks one entry and applies it.
    async fn replay_entry(&mut self, workspace: &mut Workspace, row: &Row) -> Result<(), Stop> {
        let n: i64 = column(row, 1)?;
        let bytes: &[u8] = column(row, 4)?;
        let entry =
            decode_entry(bytes).map_err(|error| workspace.disagrees(Some(n as u64), error.to_string()))?;
        workspace.check_columns(row, &entry)?;
        let found = self.check_id(workspace, &entry).await;
        found.map_err(|stop| stop.of(DisagreementKind::Derived, &workspace.account().profile.id))?;
        let creates = matches!(&entry.body, EntryBody::WorkspaceCreated(profile)
            if profile.id.as_str() == workspace.name);
        if n == 1 && !creates && !workspace.is_platform() {
            return Err(workspace.disagrees(Some(1), "the workspace was never created"));
        }
        let charge = self.charge_before(workspace, &entry, bytes).await?;
        let loaded = workspace.recomputed.load_grants(&self.scratch, &entry, charge.as_ref());
        loaded.map_err(Stop::Scratch)?;
        if self.options.rules {
            self.check_rules(workspace, &entry, charge.as_ref()).await?;
        }
        let sums = (&self.sketcher, &mut self.scratch);
        let replayed = workspace.recomputed.apply(sums, 0, &entry, digest(bytes)).map_err(Stop::Scratch)?;
        replayed.map_err(|wrong| workspace.disagrees(Some(entry.n), wrong.to_string()))?;
        if let Some(what) = workspace.texts.check_entry(entry.n, &entry.body) {
            let disagrees = workspace.disagrees(Some(entry.n), what);
            return Err(disagrees.of(DisagreementKind::Text, &workspace.account().profile.id));
        }
        self.report.entries += 1;
        if workspace.is_platform() {
            let applied = self.platform.apply(&entry);
            applied.map_err(|wrong| workspace.disagrees(Some(entry.n), wrong.to_string()))?;
            if self.options.rules {
                self.history.add(entry);
            }
        }
        Ok(())
    }

    /// Checks that the id which an entry makes leads to it: by the number that it holds, or by a
    /// row of the table `moved`, which are in the order of their entries.
    async fn check_id(&mut self, workspace: &Workspace, entry: &Entry) -> Result<(), Stop> {
        let id = match &entry.body {
            EntryBody::ChargeOpened(details) => details.id.0,
            EntryBody::Granted { grant, .. } => grant.id.0,
            _ => return Ok(()),
        };
        if number_in(id) == entry.n as i64 {
            return Ok(());
        }
        let moved = &mut self.tables.foreign_ids;
        while let Some(row) = moved.peek_of(&workspace.name).await? {
            let n = column::<i64>(row, 2)? as u64;
            if n == entry.n && Id::from_bytes(column::<Uuid>(row, 1)?.0) == id {
                return Ok(());
            }
            if n > entry.n {
                break;
            }
            moved.next_of(&workspace.name).await?;
        }
        Err(workspace.disagrees(Some(entry.n), "it is not found by the id that it created"))
    }

    /// The charge that an entry is about, as it was before. Checks the price of a new charge, and
    /// that a later entry follows from that state.
    async fn charge_before(
        &mut self,
        workspace: &mut Workspace,
        entry: &Entry,
        bytes: &[u8],
    ) -> Result<Option<Charge>, Stop> {
        let (Some((id, opening_entry)), Some(next)) = (entry.body.charge(), entry.body.state()) else {
            return Ok(None);
        };
        if let EntryBody::ChargeOpened(details) = &entry.body {
            if let Some(what) = price_disagrees(&self.platform, details) {
                return Err(workspace.disagrees(Some(entry.n), what));
            }
            if details.deadline.is_some() {
                workspace.pending += 1;
                let life = ChargeLife { state: next, opening: bytes.into() };
                self.scratch.put_charge(entry.n, life).map_err(Stop::Scratch)?;
            }
            return Ok(None);
        }
        let opening_entry = opening_entry.unwrap_or_default();
        let life = self.scratch.charge(opening_entry).map_err(Stop::Scratch)?;
        let (opening, state) = match life {
            Some(life) => (Some(life.opening), Some(life.state)),
            // It was settled at once, so it was not kept.
            None => (self.opening_bytes(workspace, opening_entry).await?, None),
        };
        let opened = opening.as_deref().map(decode_entry).transpose()?;
        let charge = opened.and_then(answer::charge_opened_by).filter(|charge| charge.details.id == id);
        let (Some(mut charge), Some(opening)) = (charge, opening) else {
            return Err(workspace.disagrees(Some(entry.n), format!("charge {id} was never opened")));
        };
        charge.state = state.unwrap_or(charge.state);
        if let Some(what) = life_disagrees(entry, (id, charge.details.amount), charge.state) {
            return Err(workspace.disagrees(Some(entry.n), what));
        }
        if charge.state.status == Status::Pending && next.status != Status::Pending {
            workspace.pending -= 1;
        }
        let life = ChargeLife { state: next, opening };
        self.scratch.put_charge(opening_entry, life).map_err(Stop::Scratch)?;
        Ok(Some(charge))
    }

    async fn opening_bytes(
        &self,
        workspace: &Workspace,
        opening_entry: u64,
    ) -> Result<Option<Box<[u8]>>, Stop> {
        let sql = "SELECT data FROM entry WHERE workspace = $1 AND n = $2";
        let row = self.client.query_opt(sql, &[&workspace.name, &(opening_entry as i64)]).await?;
        Ok(row.map(|row| column::<&[u8]>(&row, 0).map(Into::into)).transpose()?)
    }

    /// Decides an entry again by the rules of today.
    async fn check_rules(
        &mut self,
        workspace: &mut Workspace,
        entry: &Entry,
        charge: Option<&Charge>,
    ) -> Result<(), Stop> {
        let is_platform = workspace.is_platform();
        let Workspace { name, recomputed: Recomputed { account, rules: Some(rules), .. }, .. } = workspace
        else {
            return Ok(());
        };
        let objection = match rules.ask(entry, account, charge) {
            Asked::Agrees => None,
            Asked::Objection(why) => Some(why),
            Asked::Decide(question) => {
                let usage = match question.counts_from() {
                    Some(hour) => {
                        let timezone = &account.profile.timezone;
                        usage_since(self.client, (name, timezone), entry.n, hour).await?
                    }
                    None => Vec::new(),
                };
                let platforms = match is_platform {
                    true => vec![&self.platform],
                    false => self.history.states_at(entry.decided_at, entry.at),
                };
                let facts = Facts { account, charge, platforms: &platforms, usage: &usage };
                rules.answer(&question, entry, &facts)
            }
        };
        if let (Some(what), Some(findings)) = (objection, &mut self.report.rules) {
            findings.add(&account.profile.id, entry.n, what);
        }
        Ok(())
    }

    /// Compares everything derived from the entries of a workspace with what was recomputed.
    async fn compare(&mut self, workspace: &mut Workspace) -> Result<(), Stop> {
        let n = workspace.account().chain.n;
        let mut usage = self.stored_usage(workspace).await?;
        let Some(row) = self.tables.accounts.next_of(&workspace.name).await? else {
            return Err(workspace.disagrees(None, "the account is missing"));
        };
        let team = self.tables.teams.next_of(&workspace.name).await?;
        let team = team.as_ref().map(|row| column(row, 1)).transpose()?;
        let payments = self.tables.payments.next_of(&workspace.name).await?;
        let due_at = payments.as_ref().map(|row| column(row, 2)).transpose()?.flatten();
        let payments = payments.as_ref().map(|row| column(row, 1)).transpose()?;
        let stored = decode_whole_account(column(&row, 3)?, team, payments);
        let named = check_companions(column(&row, 3)?, team, payments);
        let undecodable = |error: Error| workspace.disagrees(Some(n), error.to_string());
        let stored = stored.map_err(undecodable)?;
        workspace.has_lost_entries = stored.chain.n > n;
        if workspace.has_lost_entries {
            let what = format!("the stored account is of entry {}, which is missing", stored.chain.n);
            return Err(workspace.disagrees(Some(n), what));
        }
        if stored.team != workspace.account().team {
            return Err(workspace.disagrees(Some(n), "the stored team differs from the journal"));
        }
        if stored.payments != workspace.account().payments {
            return Err(workspace.disagrees(Some(n), "the stored payments differ from the journal"));
        }
        named.map_err(|error| workspace.disagrees(Some(n), error.to_string()))?;
        let expected = stored.payments.as_deref().and_then(Payments::due_at);
        if due_at.map(Timestamp::from_millis) != expected {
            let what = "the stored time at which the payments are due differs from the journal";
            return Err(workspace.disagrees(Some(n), what));
        }
        let same_n = column::<i64>(&row, 1)? == n as i64;
        let same_time = column::<i64>(&row, 2)? == workspace.account().profile.created_at.millis();
        if stored != *workspace.account() || !same_n || !same_time {
            return Err(
                workspace.disagrees(Some(n), "the stored state of the account differs from the journal")
            );
        }
        for (key, sums) in decode_current_usage(column(&row, 4)?)? {
            usage.add(self.sketcher.usage(&key, sums));
        }
        if usage != workspace.recomputed.usage {
            return Err(
                workspace.disagrees(Some(n), "i08: the stored usage differs from the sum of the entries")
            );
        }
        self.compare_grants(workspace).await?;
        self.compare_search(workspace).await?;
        self.compare_pending(workspace).await
    }

    /// A workspace has one row by which it is found, and the words of its name.
    async fn compare_search(&mut self, workspace: &Workspace) -> Result<(), Stop> {
        let created_at = workspace.account().profile.created_at.millis();
        let row = self.tables.search.next_of(&workspace.name).await?;
        let stored = row.map(|row| search_row(&row)).transpose()?;
        let mut stored_words = Vec::new();
        while let Some(row) = self.tables.search_words.next_of(&workspace.name).await? {
            stored_words.push((column(&row, 1)?, column(&row, 2)?));
        }
        let row = SearchRow::of(workspace.account());
        let words = words(&row.name).into_iter().map(|word| (word, created_at)).collect();
        let expected =
            if workspace.is_platform() { (None, Vec::new()) } else { (Some((created_at, row)), words) };
        if (stored, stored_words) == expected {
            return Ok(());
        }
        let n = workspace.account().chain.n;
        Err(workspace.disagrees(Some(n), "what the workspace is found by differs from the journal"))
    }

    /// The rows of the usage table, summed up.
    async fn stored_usage(&mut self, workspace: &Workspace) -> Result<Sketch, Stop> {
        let mut usage = Sketch::default();
        let closed = self.tables.closed_until.next_of(&workspace.name).await?;
        let closed = closed.map(|row| closed_until(&row, 1)).transpose()?;
        let has_closed_days = closed.is_some();
        let mut days = ClosedDaysAudit::new(closed);
        while let Some(row) = self.tables.usage.next_of(&workspace.name).await? {
            let (key, sums) = decode_usage_row(&row)
                .map_err(|error| workspace.disagrees(None, error.to_string()))?
                .ok_or_else(|| workspace.disagrees(None, "a row of the usage table has no operation"))?;
            usage.add(self.sketcher.usage(&key, sums));
            days.add_row(&self.sketcher, &key, sums);
        }
        while let Some(row) = self.tables.closed_days.next_of(&workspace.name).await? {
            if !has_closed_days {
                return Err(workspace.disagrees(None, "a closed day of usage is not to be there"));
            }
            let part = DayPart::decode(column(&row, 3)?)?;
            days.add_day(&self.sketcher, Timestamp::from_millis(column(&row, 1)?), &part);
        }
        if let Some(what) = days.finish() {
            return Err(workspace.disagrees(None, what));
        }
        Ok(usage)
    }

    /// Every grant has a row. The row of an unspent grant holds the grant as it was once stored.
    async fn compare_grants(&mut self, workspace: &Workspace) -> Result<(), Stop> {
        let grants = workspace.account().grants.iter();
        let open: HashMap<u64, &Grant> = grants.map(|grant| (grant.n, grant)).collect();
        let mut rows = GrantRows::default();
        while let Some(row) = self.tables.grant_rows.next_of(&workspace.name).await? {
            let stored = decode_grant(column(&row, 2)?)?;
            let n = column::<i64>(&row, 1)? as u64;
            let is_right = rows.add(&self.sketcher, 0, &stored, open.get(&n).copied());
            if stored.n != n || !is_right {
                let what = format!("the stored grant {} differs from the journal", stored.id);
                return Err(workspace.disagrees(Some(n), what));
            }
        }
        match workspace.recomputed.grants_differ(&rows) {
            None => Ok(()),
            Some(what) => Err(workspace.disagrees(None, what)),
        }
    }

    /// The table `pending` has a row for each charge that awaits an outcome, and no other.
    async fn compare_pending(&mut self, workspace: &Workspace) -> Result<(), Stop> {
        let mut rows = 0;
        while let Some(row) = self.tables.pending.next_of(&workspace.name).await? {
            let n = column::<i64>(&row, 1)? as u64;
            let id = ChargeId(Id::from_bytes(column::<Uuid>(&row, 2)?.0));
            let deadline = Timestamp::from_millis(column(&row, 3)?);
            let life = self.scratch.charge(n).map_err(Stop::Scratch)?;
            let opened = life.as_ref().map(|life| decode_entry(&life.opening)).transpose()?;
            let is_it = opened.and_then(|entry| entry.body.charge()).is_some_and(|charge| charge.0 == id);
            if !is_it || life.and_then(|life| life.state.deadline) != Some(deadline) {
                let what = format!("charge {id}: its stored deadline differs from the journal");
                return Err(workspace.disagrees(Some(n), what));
            }
            rows += 1;
        }
        if rows == workspace.pending {
            return Ok(());
        }
        Err(workspace.disagrees(None, "the deadline of a pending charge is not stored"))
    }

    /// i07: each idempotency key has one entry. The unique index is the proof: PostgreSQL makes it
    /// valid only if no key occurs twice, and its columns sort by bytes, so that no upgrade of the
    /// operating system can change their order. A search for duplicates would sort all keys.
    async fn check_keys_unique(&self) -> Result<(), Stop> {
        let sql = "SELECT count(*) FROM pg_index AS i
                   WHERE i.indexrelid = to_regclass('entry_key') AND i.indrelid = 'entry'::regclass
                       AND i.indisunique AND i.indisvalid AND i.indisready AND i.indnkeyatts = 2
                       AND pg_get_indexdef(i.indexrelid, 1, true) = 'workspace'
                       AND pg_get_indexdef(i.indexrelid, 2, true) = 'key'
                       AND pg_get_expr(i.indpred, i.indrelid) = '(key IS NOT NULL)'";
        let row = self.client.query_one(sql, &[]).await?;
        if column::<i64>(&row, 0)? == 1 {
            return Ok(());
        }
        let what = "i07: the unique index `entry_key` is missing or not valid, so a key may have two entries";
        Err(Stop::Disagreement(AuditDisagreement {
            kind: DisagreementKind::Journal,
            workspace: None,
            entry: None,
            what: what.to_owned(),
        }))
    }
}

/// A row of the table `search`, with the time of creation.
fn search_row(row: &Row) -> Result<(i64, SearchRow), Error> {
    let name: &str = column(row, 2)?;
    let (suspended, has_debt, used_day) = (column(row, 3)?, column(row, 4)?, column(row, 5)?);
    Ok((column(row, 1)?, SearchRow { name: name.into(), suspended, has_debt, used_day }))
}
