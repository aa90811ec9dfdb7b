//! Audit: recomputes every number from the entries and reports the first disagreement.
//!
//! It reads all tables side by side, in the order of the workspaces. Each workspace is replayed
//! from its first entry: numbers, the links of the hash chain, balances, grants, prices, and the
//! life of every charge. Then it compares the stored account, team, usage, grants, pending charges,
//! keys and ids with what it recomputed.
//!
//! All reads see one snapshot of the database, so servers may run meanwhile.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::{Client, Row};
use tollkeeper_ledger::{
    Account, ChargeId, ChargeState, Entry, EntryBody, Grant, Id, Micros, Platform, Status, Timestamp, Usage,
    UsageKey, UsageSums, WorkspaceId,
};

use super::audit_texts::AuditedTexts;
use super::tables::{Stop, Tables};
use crate::audit::{AuditDisagreement, AuditReport, life_disagrees, price_disagrees};
use crate::hash::digest;
use crate::postgres::database::blocking::block_on;
use crate::postgres::database::config;
use crate::postgres::database::decode::{
    decode_account, decode_current_usage, decode_entry, decode_grant, decode_usage_row,
};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema;
use crate::postgres::database::session::{Uuid, column, connect};
use crate::postgres::ids::{key_digest, number_in};
use crate::{Error, answer, rollups};

/// Recomputes everything from the entries; servers may run meanwhile. Blocks the calling thread,
/// which must not be a thread of a runtime.
///
/// # Errors
/// [`Error::is_unavailable`] or [`Error::is_unusable`] if the database cannot be read. A
/// disagreement is no error; it is in the report.
pub fn audit(url: &str) -> Result<AuditReport, Error> {
    let config = config::parse(url)?;
    block_on(async {
        let client = connect(&config).await.map_err(Failure::into_error)?;
        schema::require_version(&client).await.map_err(Failure::into_error)?;
        let mut auditor = Auditor::begin(&client).await.map_err(Failure::into_error)?;
        match auditor.run().await {
            Ok(()) => {}
            Err(Stop::Disagreement(found)) => auditor.report.disagreement = Some(found),
            Err(Stop::Failure(failure)) => return Err(failure.into_error()),
        }
        Ok(auditor.report)
    })
}

/// An audit under way.
struct Auditor<'a> {
    client: &'a Client,
    tables: Tables<'a>,
    platform: Platform,
    report: AuditReport,
}

/// The current state of a charge that is pending, or that a later entry has changed.
struct ChargeLife {
    id: ChargeId,
    amount: Micros,
    state: ChargeState,
}

impl ChargeLife {
    /// The row of the table `pending` that belongs to the charge.
    fn pending_row(&self) -> PendingRow {
        PendingRow { charge: self.id, deadline: self.state.deadline.map_or(0, Timestamp::millis) }
    }
}

/// A row of the table `pending`. The deadline is in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PendingRow {
    charge: ChargeId,
    deadline: i64,
}

/// A workspace as it is recomputed.
struct Recomputed {
    name: String,
    account: Account,
    usage: Usage,
    /// By the number of the entry that opened the charge.
    charges: HashMap<u64, ChargeLife>,
    /// The rows of the table `moved`: foreign ids, which do not contain the number of their entry.
    foreign_ids: HashMap<Id, u64>,
    texts: AuditedTexts,
}

impl Recomputed {
    fn is_platform(&self) -> bool {
        self.name == WorkspaceId::platform().as_str()
    }

    fn disagrees(&self, entry: Option<u64>, what: impl Into<String>) -> Stop {
        let workspace = match self.is_platform() {
            true => Some(WorkspaceId::platform()),
            false => WorkspaceId::new(self.name.as_str()).ok(),
        };
        Stop::Disagreement(AuditDisagreement { workspace, entry, what: what.into() })
    }

    /// Compares the columns of an entry's row with its decoded bytes: number, key, opened charge,
    /// and id.
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
        let id = match &entry.body {
            EntryBody::ChargeOpened(details) => details.id.0,
            EntryBody::Granted { grant, .. } => grant.id.0,
            _ => return Ok(()),
        };
        if number_in(id) != n && self.foreign_ids.get(&id) != Some(&entry.n) {
            return Err(self.disagrees(Some(entry.n), "it is not found by the id that it created"));
        }
        Ok(())
    }
}

impl<'a> Auditor<'a> {
    async fn begin(client: &'a Client) -> Result<Auditor<'a>, Failure> {
        let tables = Tables::open(client).await?;
        Ok(Auditor { client, tables, platform: Platform::default(), report: AuditReport::default() })
    }

    async fn run(&mut self) -> Result<(), Stop> {
        let mut platform_n = 0;
        // The name of the platform, `*`, sorts before all workspace ids, so prices are known before
        // charges.
        while let Some(name) = self.tables.first_workspace().await? {
            let recomputed = self.audit_workspace(&name).await?;
            if recomputed.is_platform() {
                platform_n = recomputed.account.chain.n;
            } else {
                self.report.add(&recomputed.account);
            }
        }
        let row = self.client.query_one("SELECT n FROM platform", &[]).await?;
        if column::<i64>(&row, 0)? as u64 != platform_n {
            return Err(Error::damaged("the platform's entry number differs from its journal").into());
        }
        self.check_keys_unique().await
    }

    /// Recomputes a workspace and compares everything stored of it.
    async fn audit_workspace(&mut self, name: &str) -> Result<Recomputed, Stop> {
        let mut foreign_ids = HashMap::new();
        while let Some(row) = self.tables.foreign_ids.next_of(name).await? {
            foreign_ids.insert(Id::from_bytes(column::<Uuid>(&row, 1)?.0), column::<i64>(&row, 2)? as u64);
        }
        let mut texts = AuditedTexts::default();
        while let Some(row) = self.tables.texts.next_of(name).await? {
            texts.add(&row)?;
        }
        let id = match name == WorkspaceId::platform().as_str() {
            true => WorkspaceId::platform(),
            false => WorkspaceId::new(name).map_err(|_| Error::damaged("a workspace id is invalid"))?,
        };
        let mut recomputed = Recomputed {
            name: name.to_owned(),
            account: Account::new(id),
            usage: Usage::default(),
            charges: HashMap::new(),
            foreign_ids,
            texts,
        };
        while let Some(row) = self.tables.entries.next_of(name).await? {
            self.replay_entry(&mut recomputed, &row).await?;
        }
        self.compare(&mut recomputed).await?;
        let ((texts, erased), what) = recomputed.texts.finish();
        if let Some(what) = what {
            return Err(recomputed.disagrees(None, what));
        }
        self.report.texts += texts;
        self.report.texts_erased += erased;
        Ok(recomputed)
    }

    /// Checks one entry and applies it.
    async fn replay_entry(&mut self, recomputed: &mut Recomputed, row: &Row) -> Result<(), Stop> {
        let n: i64 = column(row, 1)?;
        let bytes: &[u8] = column(row, 4)?;
        let entry =
            decode_entry(bytes).map_err(|error| recomputed.disagrees(Some(n as u64), error.to_string()))?;
        recomputed.check_columns(row, &entry)?;
        let creates = matches!(&entry.body, EntryBody::WorkspaceCreated(profile)
            if profile.id.as_str() == recomputed.name);
        if n == 1 && !creates && !recomputed.is_platform() {
            return Err(recomputed.disagrees(Some(1), "the workspace was never created"));
        }
        self.check_charge(recomputed, &entry).await?;
        let replayed = recomputed.account.replay(&entry, digest(bytes));
        replayed.map_err(|wrong| recomputed.disagrees(Some(entry.n), wrong.to_string()))?;
        if let Some(what) = recomputed.texts.check_entry(entry.n, &entry.body) {
            return Err(recomputed.disagrees(Some(entry.n), what));
        }
        recomputed.usage.record(&entry);
        if recomputed.is_platform() {
            let applied = self.platform.apply(&entry);
            applied.map_err(|wrong| recomputed.disagrees(Some(entry.n), wrong.to_string()))?;
        }
        self.report.entries += 1;
        Ok(())
    }

    /// Checks the price of a new charge, and that each later entry follows from the state of its
    /// charge.
    async fn check_charge(&self, recomputed: &mut Recomputed, entry: &Entry) -> Result<(), Stop> {
        let (Some((id, opening_entry)), Some(next)) = (entry.body.charge(), entry.body.state()) else {
            return Ok(());
        };
        if let EntryBody::ChargeOpened(details) = &entry.body {
            if let Some(what) = price_disagrees(&self.platform, details) {
                return Err(recomputed.disagrees(Some(entry.n), what));
            }
            if details.deadline.is_some() {
                let life = ChargeLife { id, amount: details.amount, state: next };
                recomputed.charges.insert(entry.n, life);
            }
            return Ok(());
        }
        let opening_entry = opening_entry.unwrap_or_default();
        if !recomputed.charges.contains_key(&opening_entry) {
            let life = self.opened_charge(recomputed, opening_entry).await?;
            recomputed.charges.extend(life.map(|life| (opening_entry, life)));
        }
        let life = recomputed.charges.get_mut(&opening_entry).filter(|life| life.id == id);
        let Some(life) = life else {
            return Err(recomputed.disagrees(Some(entry.n), format!("charge {id} was never opened")));
        };
        let before = std::mem::replace(&mut life.state, next);
        match life_disagrees(entry, (id, life.amount), before) {
            None => Ok(()),
            Some(what) => Err(recomputed.disagrees(Some(entry.n), what)),
        }
    }

    /// A charge as entry `opening_entry` opened it. Such a charge was settled at once, so it was
    /// not kept in memory.
    async fn opened_charge(
        &self,
        recomputed: &Recomputed,
        opening_entry: u64,
    ) -> Result<Option<ChargeLife>, Stop> {
        let sql = "SELECT data FROM entry WHERE workspace = $1 AND n = $2";
        let row = self.client.query_opt(sql, &[&recomputed.name, &(opening_entry as i64)]).await?;
        let entry = row.map(|row| decode_entry(column(&row, 0)?)).transpose()?;
        let charge = entry.and_then(answer::charge_opened_by);
        Ok(charge.map(|charge| ChargeLife {
            id: charge.details.id,
            amount: charge.details.amount,
            state: charge.state,
        }))
    }

    /// Compares everything derived from the entries of a workspace with what was recomputed.
    async fn compare(&mut self, recomputed: &mut Recomputed) -> Result<(), Stop> {
        let n = recomputed.account.chain.n;
        let all_grants: BTreeMap<u64, Grant> =
            recomputed.account.grants.iter().map(|grant| (grant.n, grant.clone())).collect();
        recomputed.account.grants.release_spent();
        let mut usage = self.stored_usage(recomputed).await?;
        let Some(row) = self.tables.accounts.next_of(&recomputed.name).await? else {
            return Err(recomputed.disagrees(None, "the account is missing"));
        };
        let team = self.tables.teams.next_of(&recomputed.name).await?;
        let team = team.as_ref().map(|row| column(row, 1)).transpose()?;
        let undecodable = |error: Error| recomputed.disagrees(Some(n), error.to_string());
        let stored = decode_account(column(&row, 3)?, team).map_err(undecodable)?;
        if stored.team != recomputed.account.team {
            return Err(recomputed.disagrees(Some(n), "the stored team differs from the journal"));
        }
        let same_n = column::<i64>(&row, 1)? == n as i64;
        let same_time = column::<i64>(&row, 2)? == recomputed.account.profile.created_at.millis();
        if stored != recomputed.account || !same_n || !same_time {
            return Err(
                recomputed.disagrees(Some(n), "the stored state of the account differs from the journal")
            );
        }
        usage.extend(decode_current_usage(column(&row, 4)?)?);
        if rollups::folded(usage) != rollups::folded(recomputed.usage.take()) {
            return Err(
                recomputed.disagrees(Some(n), "i08: the stored usage differs from the sum of the entries")
            );
        }
        self.compare_grants(recomputed, all_grants).await?;
        self.compare_pending(recomputed).await
    }

    /// The rows of the usage table.
    async fn stored_usage(&mut self, recomputed: &Recomputed) -> Result<Vec<(UsageKey, UsageSums)>, Stop> {
        let mut rows = Vec::new();
        while let Some(row) = self.tables.usage.next_of(&recomputed.name).await? {
            let stored = decode_usage_row(&row)
                .map_err(|error| recomputed.disagrees(None, error.to_string()))?
                .ok_or_else(|| recomputed.disagrees(None, "a row of the usage table has no operation"))?;
            rows.push(stored);
        }
        Ok(rows)
    }

    /// Every grant has a row. The row of an unspent grant holds the grant as it was created.
    async fn compare_grants(
        &mut self,
        recomputed: &Recomputed,
        mut grants: BTreeMap<u64, Grant>,
    ) -> Result<(), Stop> {
        while let Some(row) = self.tables.grant_rows.next_of(&recomputed.name).await? {
            let stored = decode_grant(column(&row, 2)?)?;
            let n = column::<i64>(&row, 1)? as u64;
            let same = grants.remove(&n).is_some_and(|grant| {
                let remaining = if grant.remaining == Micros::ZERO { Micros::ZERO } else { stored.remaining };
                stored == Grant { remaining, ..grant }
            });
            if !same {
                let what = format!("the stored grant {} differs from the journal", stored.id);
                return Err(recomputed.disagrees(Some(n), what));
            }
        }
        match grants.into_values().next() {
            None => Ok(()),
            Some(Grant { id, n, .. }) => {
                Err(recomputed.disagrees(Some(n), format!("grant {id} is not stored")))
            }
        }
    }

    /// The table `pending` has a row for each charge that awaits an outcome, and no other.
    async fn compare_pending(&mut self, recomputed: &Recomputed) -> Result<(), Stop> {
        let mut stored = BTreeMap::new();
        while let Some(row) = self.tables.pending.next_of(&recomputed.name).await? {
            let charge = ChargeId(Id::from_bytes(column::<Uuid>(&row, 2)?.0));
            let pending = PendingRow { charge, deadline: column(&row, 3)? };
            stored.insert(column::<i64>(&row, 1)? as u64, pending);
        }
        let charges = recomputed.charges.iter();
        let open = charges.filter(|(_, life)| life.state.status == Status::Pending);
        let open: BTreeMap<u64, PendingRow> = open.map(|(n, life)| (*n, life.pending_row())).collect();
        let differs = open.iter().find(|(n, pending)| stored.get(n) != Some(pending));
        let differs = differs.or_else(|| stored.iter().find(|(n, _)| !open.contains_key(n)));
        match differs {
            None => Ok(()),
            Some((n, PendingRow { charge, .. })) => {
                let what = format!("charge {charge}: its stored deadline differs from the journal");
                Err(recomputed.disagrees(Some(*n), what))
            }
        }
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
        Err(Stop::Disagreement(AuditDisagreement { workspace: None, entry: None, what: what.to_owned() }))
    }
}
