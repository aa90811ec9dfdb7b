//! The canonical bytes of an entry: what is stored and hashed, the same on every engine.
//!
//! The first byte is the format, the second the kind. The common fields follow, then the body.
//! Nothing that an engine numbers for itself, such as a global sequence, is among them, so a
//! journal keeps its hashes when it is moved to another engine. The primitives are in `codec`.

use super::charge_codec::{
    read_details, read_refund, read_settlement, read_state, write_details, write_refund, write_settlement,
    write_state,
};
use super::codec::{Malformed, Reader, Writer};
use super::kind::Kind;
use super::payment_codec;
use crate::{
    Actor, Alert, AlertLine, ApiKey, ApiKeyId, Balance, ChargeId, Draw, Entry, EntryBody, Grant, GrantId,
    IdempotencyKey, Limit, LostPart, Member, MemberId, OperatorAct, OperatorId, OperatorSession,
    OperatorSessionId, PeriodWindows, PlanVersion, PlatformSettings, PortalSession, PriceVersion, Profile,
    RecipientChange, SessionId, Source, TeamChange, Timestamp, UnmatchedPayment, WebhookEndpoint,
    WebhookEndpointId, WorkspaceId,
};

/// The format. A reader refuses any other.
const FORMAT: u8 = 1;

impl Entry {
    /// Appends the canonical bytes.
    ///
    /// # Panics
    /// If an entry that is about no charge and moves no credit does not read back as it is, which
    /// is a bug.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        // One check of the capacity for most entries, instead of one with every field.
        bytes.reserve(512);
        let start = bytes.len();
        let w = &mut Writer(bytes);
        w.byte(FORMAT);
        w.byte(self.body.kind().code());
        w.unsigned(self.n);
        w.time(self.at);
        w.unsigned(ahead_millis(self.at, self.decided_at));
        write_actor(w, &self.actor);
        w.maybe_bytes(self.key.as_ref().map(IdempotencyKey::as_bytes));
        w.micros(self.balance.available);
        w.micros(self.balance.pending);
        w.micros(self.balance.debt);
        w.raw(&self.previous);
        write_body(w, &self.body);
        // Entries about a charge, or with legs, are read back in the tests only.
        let is_rare = self.body.charge().is_none() && self.body.legs().is_none();
        assert!(
            !is_rare || Entry::decode(&bytes[start..]).as_ref() == Ok(self),
            "an entry must read back as it is"
        );
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`Malformed`] with the part that could not be read.
    pub fn decode(bytes: &[u8]) -> Result<Entry, Malformed> {
        let mut r = Reader(bytes);
        if r.byte("an entry's format")? != FORMAT {
            return Err(Malformed("an entry of another format"));
        }
        let kind = Kind::from_code(r.byte("an entry's kind")?)?;
        let n = r.unsigned("an entry's number")?;
        let at = r.time("an entry's time")?;
        let decided_at = read_decided_at(&mut r, at)?;
        let entry = Entry {
            n,
            at,
            decided_at,
            actor: read_actor(&mut r)?,
            key: r.maybe_text("an entry's key")?.map(IdempotencyKey::known),
            balance: Balance {
                available: r.micros("an entry's balance")?,
                pending: r.micros("an entry's balance")?,
                debt: r.micros("an entry's balance")?,
            },
            previous: r.hash("an entry's link")?,
            body: read_body(&mut r, kind, n)?,
        };
        r.end("an entry")?;
        Ok(entry)
    }
}

/// By how much an entry is later than the clock by which it was decided.
fn ahead_millis(at: Timestamp, decided_at: Timestamp) -> u64 {
    assert!(decided_at <= at, "an entry must not be decided after its time");
    (at.millis() - decided_at.millis()).unsigned_abs()
}

fn read_decided_at(r: &mut Reader, at: Timestamp) -> Result<Timestamp, Malformed> {
    const WHAT: &str = "the time by which an entry was decided";
    let ahead = i64::try_from(r.unsigned(WHAT)?).map_err(|_| Malformed(WHAT))?;
    at.millis().checked_sub(ahead).map(Timestamp::from_millis).ok_or(Malformed(WHAT))
}

fn write_actor(w: &mut Writer, actor: &Actor) {
    match actor {
        Actor::Platform => w.byte(0),
        Actor::System => w.byte(1),
        Actor::ApiKey(id) => {
            w.byte(2);
            w.id(id.0);
        }
        Actor::Member(member) => {
            w.byte(3);
            w.text(member.as_str());
        }
        Actor::Operator(act) => {
            w.byte(4);
            w.text(act.operator.as_str());
            w.text(&act.reason);
        }
    }
}

fn read_actor(r: &mut Reader) -> Result<Actor, Malformed> {
    Ok(match r.byte("an entry's actor")? {
        0 => Actor::Platform,
        1 => Actor::System,
        2 => Actor::ApiKey(ApiKeyId(r.id("an entry's actor")?)),
        3 => Actor::Member(MemberId::known(r.text("an entry's actor")?)),
        4 => Actor::Operator(Box::new(OperatorAct {
            operator: OperatorId::known(r.text("an entry's actor")?),
            reason: r.text("an operator's reason")?.into(),
        })),
        _ => return Err(Malformed("an entry's actor")),
    })
}

fn write_body(w: &mut Writer, body: &EntryBody) {
    match body {
        EntryBody::WorkspaceCreated(profile) | EntryBody::WorkspaceUpdated(profile) => {
            write_profile(w, profile)
        }
        EntryBody::Granted { grant, reason, origin, paid_cents } => {
            w.id(grant.id.0);
            w.byte(grant.source.code());
            w.micros(grant.amount);
            w.maybe_text(reason.as_deref());
            w.maybe_text(origin.as_deref());
            w.signed(*paid_cents);
        }
        EntryBody::GrantVoided { grant, draws, reason } => {
            w.id(grant.0);
            write_draws(w, draws);
            w.maybe_text(reason.as_deref());
        }
        EntryBody::ClawedBack { grant, dispute, amount, draws } => {
            w.id(grant.0);
            w.text(dispute);
            w.micros(*amount);
            write_draws(w, draws);
        }
        EntryBody::DebtRepaid { draw } => draw.write(w),
        EntryBody::ReturnTaken { draws } => write_draws(w, draws),
        EntryBody::ClawBackExchanged { dispute, draw, returns } => {
            w.text(dispute);
            draw.write(w);
            write_draws(w, returns);
        }
        EntryBody::ClawBackRestored { dispute, returns } => {
            w.text(dispute);
            write_draws(w, returns);
        }
        EntryBody::ClawBackIncreased { lost, owed: debt, draws }
        | EntryBody::ClawBackReduced { lost, forgiven: debt, returns: draws } => {
            write_lost(w, lost);
            w.micros(*debt);
            write_draws(w, draws);
        }
        EntryBody::ChargeOpened(details) => write_details(w, details),
        EntryBody::ChargeSettled(settlement) => write_settlement(w, settlement),
        EntryBody::ChargeRefunded(refund) => write_refund(w, refund),
        EntryBody::ChargeExtended { charge, opening_entry, state } => {
            w.id(charge.0);
            w.unsigned(*opening_entry);
            write_state(w, *state);
        }
        EntryBody::LimitsSet(limits) => w.list(limits, |w, limit| limit.write(w)),
        EntryBody::AlertsSet { thresholds, cooldown_seconds } => {
            w.list(thresholds, |w, line| line.write(w));
            w.signed(*cooldown_seconds);
        }
        EntryBody::Alert(alert) => alert.write(w),
        EntryBody::PricesSet(version) => version.write(w),
        EntryBody::PlansSet(version) => version.write(w),
        EntryBody::PlatformKeySet { hash } => w.raw(hash),
        EntryBody::SettingsChanged(settings) => settings.write(w),
        EntryBody::LedgerRestored { epoch } => w.unsigned(*epoch),
        EntryBody::WebhookEndpointSet(endpoint) => endpoint.write(w),
        EntryBody::WebhookEndpointRemoved(id) => w.id(id.0),
        EntryBody::OperatorSignedIn(session) => session.write(w),
        EntryBody::OperatorSignedOut(ended) => write_signed_out(w, *ended),
        EntryBody::Team(change) => write_team_change(w, change),
        EntryBody::Payment(change) => payment_codec::write(w, change),
        EntryBody::PaymentUnmatched(payment) => payment.write(w),
    }
}

fn write_signed_out(w: &mut Writer, ended: Option<OperatorSessionId>) {
    w.flag(ended.is_some());
    if let Some(id) = ended {
        w.id(id.0);
    }
}

fn read_signed_out(r: &mut Reader) -> Result<Option<OperatorSessionId>, Malformed> {
    let is_one = r.flag("whether one session was ended")?;
    Ok(if is_one { Some(OperatorSessionId(r.id("an operator's session")?)) } else { None })
}

fn read_body(r: &mut Reader, kind: Kind, n: u64) -> Result<EntryBody, Malformed> {
    Ok(match kind {
        Kind::WorkspaceCreated => EntryBody::WorkspaceCreated(Box::new(read_profile(r)?)),
        Kind::WorkspaceUpdated => EntryBody::WorkspaceUpdated(Box::new(read_profile(r)?)),
        Kind::Granted => read_grant(r, n)?,
        Kind::GrantVoided => EntryBody::GrantVoided {
            grant: GrantId(r.id("a grant")?),
            draws: read_draws(r)?,
            reason: r.maybe_text("a reason")?.map(Into::into),
        },
        Kind::ClawedBack
        | Kind::ClawBackIncreased
        | Kind::ClawBackReduced
        | Kind::ClawBackExchanged
        | Kind::ClawBackRestored
        | Kind::DebtRepaid
        | Kind::ReturnTaken => read_claw_back(r, kind)?,
        Kind::ChargeOpened => EntryBody::ChargeOpened(Box::new(read_details(r)?)),
        Kind::ChargeSettled => EntryBody::ChargeSettled(read_settlement(r)?),
        Kind::ChargeRefunded => EntryBody::ChargeRefunded(Box::new(read_refund(r)?)),
        Kind::ChargeExtended => EntryBody::ChargeExtended {
            charge: ChargeId(r.id("a charge")?),
            opening_entry: r.unsigned("a charge")?,
            state: read_state(r)?,
        },
        Kind::LimitsSet => EntryBody::LimitsSet(r.list("the limits", Limit::read)?),
        Kind::AlertsSet => EntryBody::AlertsSet {
            thresholds: r.list("the thresholds", AlertLine::read)?,
            cooldown_seconds: r.signed("a cooldown")?,
        },
        Kind::BalanceLow | Kind::BalanceRecovered | Kind::BalanceRefused | Kind::LimitReached => {
            EntryBody::Alert(Alert::read(r, kind)?)
        }
        Kind::PricesSet => EntryBody::PricesSet(PriceVersion::read(r)?),
        Kind::PlansSet => EntryBody::PlansSet(PlanVersion::read(r)?),
        Kind::PlatformKeySet => EntryBody::PlatformKeySet { hash: r.hash("a key's hash")? },
        Kind::SettingsChanged => EntryBody::SettingsChanged(PlatformSettings::read(r)?),
        Kind::LedgerRestored => EntryBody::LedgerRestored { epoch: r.unsigned("an epoch")? },
        Kind::WebhookEndpointSet => EntryBody::WebhookEndpointSet(Box::new(WebhookEndpoint::read(r)?)),
        Kind::WebhookEndpointRemoved => {
            EntryBody::WebhookEndpointRemoved(WebhookEndpointId(r.id("an endpoint")?))
        }
        Kind::OperatorSignedIn => EntryBody::OperatorSignedIn(Box::new(OperatorSession::read(r)?)),
        Kind::OperatorSignedOut => EntryBody::OperatorSignedOut(read_signed_out(r)?),
        Kind::MemberAdded
        | Kind::MemberChanged
        | Kind::MemberRemoved
        | Kind::ApiKeyCreated
        | Kind::ApiKeyRevoked
        | Kind::ApiKeyUsed
        | Kind::PortalLinkCreated
        | Kind::PortalSignedIn
        | Kind::PortalSignedOut
        | Kind::PortalAllSignedOut
        | Kind::MemberErased
        | Kind::RecipientAdded
        | Kind::RecipientRemoved
        | Kind::RecipientConfirmed
        | Kind::RecipientMuted
        | Kind::RecipientFailed
        | Kind::MailSent => EntryBody::Team(Box::new(read_team_change(r, kind)?)),
        Kind::PaymentUnmatched => EntryBody::PaymentUnmatched(Box::new(UnmatchedPayment::read(r)?)),
        _ => EntryBody::Payment(Box::new(payment_codec::read(r, kind)?)),
    })
}

/// Reads the body of an entry about lost payments, debt, or what went back to voided grants.
fn read_claw_back(r: &mut Reader, kind: Kind) -> Result<EntryBody, Malformed> {
    Ok(match kind {
        Kind::ClawedBack => EntryBody::ClawedBack {
            grant: GrantId(r.id("a grant")?),
            dispute: r.text("a dispute")?.into(),
            amount: r.micros("a claw-back")?,
            draws: read_draws(r)?,
        },
        Kind::DebtRepaid => EntryBody::DebtRepaid { draw: Draw::read(r)? },
        Kind::ReturnTaken => EntryBody::ReturnTaken { draws: read_draws(r)? },
        Kind::ClawBackExchanged => EntryBody::ClawBackExchanged {
            dispute: r.text("a dispute")?.into(),
            draw: Draw::read(r)?,
            returns: read_draws(r)?,
        },
        Kind::ClawBackRestored => {
            EntryBody::ClawBackRestored { dispute: r.text("a dispute")?.into(), returns: read_draws(r)? }
        }
        Kind::ClawBackIncreased => EntryBody::ClawBackIncreased {
            lost: read_lost(r)?,
            owed: r.micros("what is owed")?,
            draws: read_draws(r)?,
        },
        Kind::ClawBackReduced => EntryBody::ClawBackReduced {
            lost: read_lost(r)?,
            forgiven: r.micros("what is forgiven")?,
            returns: read_draws(r)?,
        },
        _ => return Err(Malformed("a claw-back")),
    })
}

/// Reads the body of a grant's entry; the number and the unspent remainder are not stored twice.
fn read_grant(r: &mut Reader, n: u64) -> Result<EntryBody, Malformed> {
    let id = GrantId(r.id("a grant")?);
    let source = Source::from_code(r.byte("a grant's source")?)?;
    let amount = r.micros("a grant's amount")?;
    Ok(EntryBody::Granted {
        grant: Grant { id, n, source, amount, remaining: amount, voided_at: None },
        reason: r.maybe_text("a reason")?.map(Into::into),
        origin: r.maybe_text("an origin")?.map(Into::into),
        paid_cents: r.signed("what was paid")?,
    })
}

fn write_team_change(w: &mut Writer, change: &TeamChange) {
    match change {
        TeamChange::MemberAdded(member) | TeamChange::MemberChanged(member) => member.write(w),
        TeamChange::MemberRemoved(member) | TeamChange::MemberErased(member) => w.text(member.as_str()),
        TeamChange::KeyCreated(key) => key.write(w),
        TeamChange::KeyRevoked(key) | TeamChange::KeyUsed(key) => w.id(key.0),
        TeamChange::LinkCreated(session) | TeamChange::SignedIn(session) => session.write(w),
        TeamChange::SignedOut(session) => w.id(session.0),
        TeamChange::AllSignedOut(member) => w.maybe_bytes(member.as_ref().map(MemberId::as_bytes)),
        TeamChange::Recipient(change) => change.write(w),
    }
}

fn read_team_change(r: &mut Reader, kind: Kind) -> Result<TeamChange, Malformed> {
    Ok(match kind {
        Kind::MemberAdded => TeamChange::MemberAdded(Member::read(r)?),
        Kind::MemberChanged => TeamChange::MemberChanged(Member::read(r)?),
        Kind::MemberRemoved => TeamChange::MemberRemoved(MemberId::known(r.text("a member")?)),
        Kind::ApiKeyCreated => TeamChange::KeyCreated(ApiKey::read(r)?),
        Kind::ApiKeyRevoked => TeamChange::KeyRevoked(ApiKeyId(r.id("an API key")?)),
        Kind::ApiKeyUsed => TeamChange::KeyUsed(ApiKeyId(r.id("an API key")?)),
        Kind::PortalLinkCreated => TeamChange::LinkCreated(PortalSession::read(r)?),
        Kind::PortalSignedIn => TeamChange::SignedIn(PortalSession::read(r)?),
        Kind::PortalSignedOut => TeamChange::SignedOut(SessionId(r.id("a portal session")?)),
        Kind::MemberErased => TeamChange::MemberErased(MemberId::known(r.text("a member")?)),
        Kind::PortalAllSignedOut => TeamChange::AllSignedOut(r.maybe_text("a member")?.map(MemberId::known)),
        kind => TeamChange::Recipient(RecipientChange::read(r, kind)?),
    })
}

pub(crate) fn write_profile(w: &mut Writer, profile: &Profile) {
    w.text(profile.id.as_str());
    w.text(&profile.name);
    w.text(&profile.timezone);
    w.maybe_text(profile.metadata.as_deref());
    w.flag(profile.suspended);
    w.time(profile.created_at);
}

pub(crate) fn read_profile(r: &mut Reader) -> Result<Profile, Malformed> {
    Ok(Profile {
        id: WorkspaceId::known(r.text("a workspace's id")?),
        name: r.text("a workspace's name")?.into(),
        timezone: r.text("a time zone")?.into(),
        metadata: r.maybe_text("metadata")?.map(Into::into),
        suspended: r.flag("suspended")?,
        created_at: r.time("a workspace's beginning")?,
    })
}

pub(super) fn write_draws(w: &mut Writer, draws: &[Draw]) {
    w.list(draws, |w, draw| draw.write(w));
}

pub(super) fn read_draws(r: &mut Reader) -> Result<Vec<Draw>, Malformed> {
    r.list("the draws", Draw::read)
}

fn write_lost(w: &mut Writer, lost: &LostPart) {
    let LostPart { grant, lost_cents, paid_cents, credit, evidence } = lost;
    w.id(grant.0);
    w.signed(*lost_cents);
    w.signed(*paid_cents);
    w.micros(*credit);
    w.text(evidence);
}

fn read_lost(r: &mut Reader) -> Result<LostPart, Malformed> {
    Ok(LostPart {
        grant: GrantId(r.id("a grant")?),
        lost_cents: r.signed("what is lost")?,
        paid_cents: r.signed("what was paid")?,
        credit: r.micros("the credit that is lost")?,
        evidence: r.text("the evidence of a loss")?.into(),
    })
}

pub(super) fn write_windows(w: &mut Writer, windows: Option<&PeriodWindows>) {
    w.flag(windows.is_some());
    if let Some(windows) = windows {
        windows.write(w);
    }
}

pub(super) fn read_windows(r: &mut Reader) -> Result<Option<PeriodWindows>, Malformed> {
    if r.flag("windows")? { Ok(Some(PeriodWindows::read(r)?)) } else { Ok(None) }
}
