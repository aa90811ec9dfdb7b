//! The rules of members, API keys, links and sessions, and who may run which command.
//!
//! A member, a key, a link or a session exists if a fact created it and no later fact removed it;
//! each method looks for both. Not here: the removal of the oldest session beyond a thousand, which
//! no run reaches.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    Actor, ApiKey, ApiKeyId, ApiKeyRequest, AutoTopUpCommand, CardCommand, Charge, ChargeCommand, ChargeId,
    Command, Hash, LinkRequest, Member, MemberChanges, MemberId, MemberRequest, PaymentCommand, PersonalText,
    PortalSession, RecipientCommand, RecipientSubject, Refusal, Role, Scope, SessionId, Status, StopReason,
    SubscriptionCommand, TeamChange, TeamCommand, Timestamp, WorkerId,
};

use super::charges::invalid;
use super::facts::{Fact, Pool, is_ahead};
use crate::model::step::{index_of, nth};

const MEMBERS_MAX: usize = 1_000;
const KEYS_MAX: usize = 100;
/// The use of a key is recorded at most once an hour.
const USE_NOTED_SECONDS: i64 = 3_600;

/// True if the change ends all links and sessions of the member.
fn signs_out(change: &TeamChange, member: &MemberId) -> bool {
    match change {
        TeamChange::MemberRemoved(one) | TeamChange::AllSignedOut(Some(one)) => one == member,
        TeamChange::AllSignedOut(None) => true,
        _ => false,
    }
}

impl Pool {
    /// The changes of the team after the fact with this number: number, time and change.
    pub(super) fn team_after(
        &self,
        after: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, Timestamp, &TeamChange)> {
        let first = usize::try_from(after).expect("an index of a vector");
        let numbered = self.lines[first..].iter().enumerate();
        numbered.filter_map(move |(place, line)| match &line.fact {
            Fact::Team(change) => Some((after + place as u64 + 1, line.decided_at, change)),
            _ => None,
        })
    }

    /// The members in the order of their creation, each with its last changes.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let added = self.team_after(0).filter_map(|(n, _, change)| match change {
            TeamChange::MemberAdded(member) => Some((n, member)),
            _ => None,
        });
        let left = |n: u64, id: &MemberId| {
            let left = |change: &TeamChange| matches!(change, TeamChange::MemberRemoved(one) if one == id);
            self.team_after(n).any(|(_, _, change)| left(change))
        };
        let described = |n: u64, member: &Member| {
            let again = self.team_after(n).rev().find_map(|(_, _, change)| match change {
                TeamChange::MemberChanged(changed) if changed.id == member.id => Some(changed.clone()),
                _ => None,
            });
            again.unwrap_or_else(|| member.clone())
        };
        let there = added.filter(|(n, member)| !left(*n, &member.id));
        there.map(|(n, member)| described(n, member)).collect()
    }

    fn member(&self, id: &MemberId) -> Option<Member> {
        self.members().into_iter().find(|member| member.id == *id)
    }

    /// The API keys in the order of their creation, with expired ones, without revoked ones and
    /// those of removed members.
    #[must_use]
    pub fn keys(&self) -> Vec<ApiKey> {
        let mut keys = Vec::new();
        for (n, _, change) in self.team_after(0) {
            let TeamChange::KeyCreated(key) = change else { continue };
            let over = self.team_after(n).any(|(_, _, change)| match change {
                TeamChange::KeyRevoked(id) => *id == key.id,
                TeamChange::MemberRemoved(member) => key.member.as_ref() == Some(member),
                _ => false,
            });
            let used = |change: &TeamChange| matches!(change, TeamChange::KeyUsed(id) if *id == key.id);
            let last_used = self.team_after(n).rev().find(|(_, _, change)| used(change));
            if !over {
                keys.push(ApiKey { last_used_at: last_used.map(|(_, at, _)| at), ..key.clone() });
            }
        }
        keys
    }

    fn key(&self, id: ApiKeyId) -> Option<ApiKey> {
        self.keys().into_iter().find(|key| key.id == id)
    }

    /// The number of keys ever created.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.team_after(0).filter(|(_, _, change)| matches!(change, TeamChange::KeyCreated(_))).count()
    }

    /// The number of links ever created.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.team_after(0).filter(|(_, _, change)| matches!(change, TeamChange::LinkCreated(_))).count()
    }

    /// The links that can still be followed.
    #[must_use]
    pub fn links(&self, now: Timestamp) -> Vec<PortalSession> {
        self.stored_links().into_iter().filter(|link| now < link.expires_at).collect()
    }

    /// True if an expired link or session was removed: the next link that is created or followed
    /// removes it.
    fn was_removed(&self, n: u64, session: &PortalSession) -> bool {
        let made_at = |change: &TeamChange| match change {
            TeamChange::LinkCreated(next) | TeamChange::SignedIn(next) => Some(next.created_at),
            _ => None,
        };
        self.team_after(n).any(|(_, _, change)| made_at(change).is_some_and(|at| at >= session.expires_at))
    }

    /// The links that were neither followed nor ended, with expired ones that were not yet removed.
    fn stored_links(&self) -> Vec<PortalSession> {
        let there = |(n, link): &(u64, &PortalSession)| {
            let over = |change: &TeamChange| {
                matches!(change, TeamChange::SignedIn(session) if session.id == link.id)
                    || signs_out(change, &link.member)
            };
            !self.was_removed(*n, link) && !self.team_after(*n).any(|(_, _, change)| over(change))
        };
        let made = self.team_after(0).filter_map(|(n, _, change)| match change {
            TeamChange::LinkCreated(link) => Some((n, link)),
            _ => None,
        });
        made.filter(there).map(|(_, link)| link.clone()).collect()
    }

    /// The sessions that have not expired.
    #[must_use]
    pub fn sessions(&self, now: Timestamp) -> Vec<PortalSession> {
        self.stored_sessions().into_iter().filter(|session| now < session.expires_at).collect()
    }

    /// The sessions that were not ended, with expired ones that were not yet removed.
    fn stored_sessions(&self) -> Vec<PortalSession> {
        let there = |(n, session): &(u64, &PortalSession)| {
            let over = |change: &TeamChange| {
                matches!(change, TeamChange::SignedOut(id) if *id == session.id)
                    || signs_out(change, &session.member)
            };
            !self.was_removed(*n, session) && !self.team_after(*n).any(|(_, _, change)| over(change))
        };
        let begun = self.team_after(0).filter_map(|(n, _, change)| match change {
            TeamChange::SignedIn(session) => Some((n, session)),
            _ => None,
        });
        begun.filter(there).map(|(_, session)| session.clone()).collect()
    }

    /// Checks whether the actor may run the command.
    pub(super) fn admit(
        &self,
        actor: &Actor,
        command: &Command,
        (now, asked_at): (Timestamp, Timestamp),
    ) -> Result<(), Refusal> {
        let allowed = match actor {
            // An operator was admitted by the rules of the platform.
            Actor::Platform | Actor::System | Actor::Operator(_) => true,
            Actor::Member(id) => {
                let member = self.member(id).ok_or(Refusal::Unauthenticated)?;
                let named = match command {
                    Command::Team(TeamCommand::SignIn { link, .. }) => {
                        Some(self.links(asked_at).into_iter().find(|known| known.hash == *link))
                    }
                    Command::Team(TeamCommand::SignOut(session)) => {
                        Some(self.stored_sessions().into_iter().find(|known| known.id == *session))
                    }
                    _ => None,
                };
                let own_session = named.is_some_and(|named| named.is_none_or(|named| named.member == *id));
                (member.role == Role::Admin || own_session) && self.may_give_back(None, command)
            }
            Actor::ApiKey(id) => {
                let key = self.key(*id).ok_or(Refusal::Unauthenticated)?;
                if key.expires_at.is_some_and(|end| end <= now) {
                    return Err(Refusal::Unauthenticated);
                }
                let is_own = self.charged_to(command).is_none_or(|(member, worker)| {
                    (key.member.is_none() || key.member == member)
                        && (key.worker.is_none() || key.worker == worker)
                });
                is_own && self.may_give_back(Some(&key), command)
            }
        };
        if allowed { Ok(()) } else { Err(Refusal::Forbidden { why: "" }) }
    }

    /// False if the command gives back credit of a charge, reports about one, or creates a key that
    /// can, and the caller of the workspace has no right to. A member has no scopes.
    fn may_give_back(&self, key: Option<&ApiKey>, command: &Command) -> bool {
        let scopes: Vec<Scope> = key.map_or_else(Vec::new, |key| key.scopes.iter().collect());
        match command {
            Command::Team(TeamCommand::CreateKey(request)) => {
                !request.scopes.iter().any(|scope| scope == Scope::Settle)
            }
            Command::ExistingCharge { charge, .. }
                if !scopes.contains(&Scope::Settle) && self.is_left_to_platform(*charge) =>
            {
                false
            }
            Command::ExistingCharge { command: ChargeCommand::Fail { by_system: true, .. }, charge } => {
                let charges = self.charges();
                let is_settled = |charge: &Charge| charge.state.status == Status::Settled;
                scopes.contains(&Scope::Settle) && !charges.get(index_of(charge.0)).is_some_and(is_settled)
            }
            Command::ExistingCharge {
                command: ChargeCommand::Refund { .. } | ChargeCommand::TimeOut,
                ..
            } => false,
            Command::ExistingCharge { .. } => scopes.contains(&Scope::Charge),
            Command::CheckAlerts { .. } | Command::NoteRefused(_) | Command::NoteLimit { .. } => false,
            Command::Team(TeamCommand::Recipient(command)) => matches!(
                command,
                RecipientCommand::Choose(_) | RecipientCommand::Remove(_) | RecipientCommand::Mute { .. }
            ),
            Command::Payment(
                PaymentCommand::ConfirmTopUp(_)
                | PaymentCommand::FailTopUp { .. }
                | PaymentCommand::ExpireTopUp(_)
                | PaymentCommand::Provider(_)
                | PaymentCommand::Refund(_),
            ) => false,
            Command::Payment(PaymentCommand::Card(command)) => {
                matches!(command, CardCommand::RemoveCard { .. })
            }
            Command::Payment(PaymentCommand::AutoTopUp(AutoTopUpCommand::Stop { why })) => {
                *why == StopReason::Requested
            }
            Command::Payment(PaymentCommand::Subscription(command)) => {
                matches!(command, SubscriptionCommand::StartOrChange { .. } | SubscriptionCommand::Cancel)
            }
            _ => true,
        }
    }

    /// True if only the platform reports about the charge.
    fn is_left_to_platform(&self, charge: ChargeId) -> bool {
        let charges = self.charges();
        charges.get(index_of(charge.0)).is_some_and(|charge| charge.details.outcome_by_platform)
    }

    /// The member and worker of the charge or key that a command creates, or of the charge that it
    /// names.
    fn charged_to(&self, command: &Command) -> Option<(Option<MemberId>, Option<WorkerId>)> {
        let charge = match command {
            Command::Charge(request) => return Some((request.member.clone(), request.worker.clone())),
            Command::Team(TeamCommand::CreateKey(request)) => {
                return Some((request.member.clone(), request.worker.clone()));
            }
            Command::ExistingCharge { charge, .. } => index_of(charge.0),
            _ => return None,
        };
        let charge = self.charges().get(charge)?.clone();
        Some((charge.details.spender.member, charge.details.spender.worker))
    }

    pub(super) fn change_team(
        &mut self,
        command: &TeamCommand,
        (now, asked_at): (Timestamp, Timestamp),
    ) -> Result<Output, Refusal> {
        let change = match command {
            TeamCommand::AddMember(request) => Some(self.add_member(request, now)?),
            TeamCommand::ChangeMember(id, changes) => self.change_member(id, changes)?,
            TeamCommand::RemoveMember(id) => {
                self.needs_another_admin(&self.member(id).ok_or(Refusal::MemberNotFound)?)?;
                Some(TeamChange::MemberRemoved(id.clone()))
            }
            TeamCommand::EraseMember(id) => self.erase_member(id)?,
            TeamCommand::CreateKey(request) => Some(self.create_key(request, now)?),
            TeamCommand::RevokeKey(id) => {
                self.key(*id).ok_or(Refusal::ApiKeyNotFound)?;
                Some(TeamChange::KeyRevoked(*id))
            }
            TeamCommand::RecordKeyUse(id) => {
                let key = self.key(*id).ok_or(Refusal::ApiKeyNotFound)?;
                let noted =
                    |last: Timestamp| now < last.plus_seconds(USE_NOTED_SECONDS) && !is_ahead(last, now);
                (!key.last_used_at.is_some_and(noted)).then_some(TeamChange::KeyUsed(*id))
            }
            TeamCommand::CreateLink(request) => Some(self.create_link(request, asked_at)?),
            TeamCommand::SignIn { link, session, valid_for_seconds } => {
                let followed = self.links(asked_at).into_iter().find(|known| known.hash == *link);
                let followed = followed.ok_or(Refusal::PortalLinkExpired)?;
                let (hash, expires_at) = (*session, asked_at.plus_seconds(*valid_for_seconds));
                Some(TeamChange::SignedIn(PortalSession {
                    hash,
                    expires_at,
                    created_at: asked_at,
                    ..followed
                }))
            }
            TeamCommand::SignOut(id) => {
                let there = self.stored_sessions().iter().any(|session| session.id == *id);
                there.then_some(TeamChange::SignedOut(*id))
            }
            TeamCommand::SignOutAll(member) => {
                if let Some(id) = member {
                    self.member(id).ok_or(Refusal::MemberNotFound)?;
                }
                let change = TeamChange::AllSignedOut(member.clone());
                let there = [self.stored_links(), self.stored_sessions()].concat();
                there.iter().any(|session| signs_out(&change, &session.member)).then_some(change)
            }
            TeamCommand::Recipient(command) => self.change_recipients(command)?.map(TeamChange::Recipient),
        };
        self.texts.extend(command.texts().into_iter().map(|text| (text.digest, text.text)));
        Ok(match change {
            Some(change) => {
                self.add(now, Fact::Team(change.clone()));
                Output::Team(Box::new(change))
            }
            None => Output::Workspace(Box::new(self.profile())),
        })
    }

    fn add_member(&self, request: &MemberRequest, now: Timestamp) -> Result<TeamChange, Refusal> {
        let MemberRequest { id, email, name, role } = request.clone();
        if self.member(&id).is_some() {
            return Err(Refusal::MemberExists);
        }
        if self.members().len() >= MEMBERS_MAX {
            return Err(invalid("members"));
        }
        let (email, name) = (email.digest, name.digest);
        Ok(TeamChange::MemberAdded(Member { id, email, name, role, created_at: now }))
    }

    fn change_member(&self, id: &MemberId, changes: &MemberChanges) -> Result<Option<TeamChange>, Refusal> {
        let old = self.member(id).ok_or(Refusal::MemberNotFound)?;
        let mut new = old.clone();
        let MemberChanges { email, name, role } = changes.clone();
        // The same text again has another salt, but changes nothing; unless it is an address that
        // refused a mail.
        let differs = |given: &PersonalText, digest| self.text(id, &digest).as_ref() != Some(&given.text);
        let row = self.recipient(&RecipientSubject::Member(id.clone()));
        let is_at_fault = row.is_some_and(|row| row.fault.is_some());
        let is_new = |given: &PersonalText| is_at_fault || differs(given, old.email);
        new.email = email.filter(is_new).map_or(old.email, |given| given.digest);
        new.name = name.filter(|given| differs(given, old.name)).map_or(old.name, |given| given.digest);
        new.role = role.unwrap_or(new.role);
        if new.role == Role::Member {
            self.needs_another_admin(&old)?;
        }
        Ok((new != old).then_some(TeamChange::MemberChanged(new)))
    }

    /// The text of a member with this digest, unless a later fact erased it.
    #[must_use]
    pub fn text(&self, id: &MemberId, digest: &Hash) -> Option<Box<str>> {
        let names = |change: &TeamChange| change.texts().is_some_and(|(_, texts)| texts.contains(digest));
        let (named_at, ..) = self.team_after(0).find(|(_, _, change)| names(change))?;
        let erases = |change: &TeamChange| matches!(change, TeamChange::MemberErased(one) if one == id);
        let is_erased = self.team_after(named_at).any(|(_, _, change)| erases(change));
        if is_erased { None } else { self.texts.get(digest).cloned() }
    }

    /// All texts of a member are erased at once, and only if there is one.
    fn erase_member(&self, id: &MemberId) -> Result<Option<TeamChange>, Refusal> {
        let mut named = Vec::new();
        for (_, _, change) in self.team_after(0) {
            named.extend(
                change.texts().filter(|(of, _)| **of == *id).into_iter().flat_map(|(_, texts)| texts),
            );
        }
        if named.is_empty() {
            return Err(Refusal::MemberNotFound);
        }
        let is_kept = named.iter().any(|digest| self.text(id, digest).is_some());
        Ok(is_kept.then(|| TeamChange::MemberErased(id.clone())))
    }

    /// The last admin can neither be removed nor become a member.
    fn needs_another_admin(&self, leaving: &Member) -> Result<(), Refusal> {
        let another = |member: &Member| member.role == Role::Admin && member.id != leaving.id;
        let may_go = leaving.role == Role::Member || self.members().iter().any(another);
        if may_go { Ok(()) } else { Err(Refusal::LastAdmin) }
    }

    fn create_key(&self, request: &ApiKeyRequest, now: Timestamp) -> Result<TeamChange, Refusal> {
        let ApiKeyRequest { name, scopes, member, worker, expires_at, hash } = request.clone();
        if scopes.iter().count() == 0 {
            return Err(invalid("scopes"));
        }
        if expires_at.is_some_and(|end| end <= now) {
            return Err(invalid("expires_at"));
        }
        if self.keys().len() >= KEYS_MAX {
            return Err(invalid("api_keys"));
        }
        let id = ApiKeyId(nth(self.key_count()));
        let (created_at, last_used_at) = (now, None);
        let key = ApiKey { id, name, scopes, member, worker, expires_at, created_at, last_used_at, hash };
        Ok(TeamChange::KeyCreated(key))
    }

    fn create_link(&self, request: &LinkRequest, asked_at: Timestamp) -> Result<TeamChange, Refusal> {
        let LinkRequest { member, hash, return_url, valid_for_seconds } = request.clone();
        self.member(&member).ok_or(Refusal::MemberNotFound)?;
        let id = SessionId(nth(self.link_count()));
        let expires_at = asked_at.plus_seconds(valid_for_seconds);
        let link = PortalSession { id, member, hash, return_url, created_at: asked_at, expires_at };
        Ok(TeamChange::LinkCreated(link))
    }
}
