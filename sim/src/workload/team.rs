//! Random actors and team commands: members and keys that are valid, that have ended, and that
//! never existed.

use tollkeeper_engine::personal_text;
use tollkeeper_ledger::{
    Actor, ApiKeyId, ApiKeyRequest, Command, Hash, LinkRequest, MemberChanges, MemberId, MemberRequest,
    PaymentCommand, PersonalText, Role, Scope, SessionId, SubscriptionCommand, TeamCommand, WorkerId,
};

use super::{MEMBERS, WORKERS, Workload};
use crate::model::Pool;
use crate::model::step::{nth, unknown_id};
use crate::random::Random;

/// The lifetimes of keys, links and sessions.
const LIVES_SECONDS: [i64; 8] = [0, 60, 3_600, 100_000, 3_000_000, 3_000_000, 3_000_000, 3_000_000];

/// A member id.
pub(super) fn member(name: &str) -> MemberId {
    MemberId::new(name).expect("a name")
}

/// A worker id.
pub(super) fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).expect("a name")
}

/// One of the names, or none.
fn maybe<T>(random: &mut Random, names: &[&str], named: impl Fn(&str) -> T) -> Option<T> {
    random.chance(400).then(|| named(random.pick::<&str>(names)))
}

impl Workload {
    /// The actor of a command: mostly the platform; in a workspace with a team, often a key or a
    /// member.
    ///
    /// A sign-in or a sign-out mostly comes from the member of that link or session. Rarely the
    /// actor does not exist.
    pub(super) fn actor(&mut self, pool: Option<&Pool>, command: &Command) -> Actor {
        let (keys, members) = pool.map_or_else(Default::default, |pool| (pool.keys(), pool.members()));
        let anyway = self.random.chance(60);
        let is_platforms = matches!(
            command,
            Command::Payment(PaymentCommand::Subscription(
                SubscriptionCommand::Confirm { .. }
                    | SubscriptionCommand::Tick { .. }
                    | SubscriptionCommand::Collected { .. }
            ))
        );
        match self.random.below(100) {
            0..10 => Actor::System,
            10..90 if is_platforms => Actor::Platform,
            10..16 => self.act(),
            50..75 if !keys.is_empty() || anyway => {
                Actor::ApiKey(pool.map_or(ApiKeyId(unknown_id()), |pool| self.some_key(pool)))
            }
            75..100 if !members.is_empty() || anyway => {
                let own_session = match (pool, command) {
                    (Some(pool), Command::Team(TeamCommand::SignIn { link, .. })) => {
                        pool.links(self.now).into_iter().find(|known| known.hash == *link)
                    }
                    (Some(pool), Command::Team(TeamCommand::SignOut(id))) => {
                        pool.sessions(self.now).into_iter().find(|session| session.id == *id)
                    }
                    _ => None,
                };
                Actor::Member(own_session.map_or_else(|| self.some_member(pool), |session| session.member))
            }
            _ => Actor::Platform,
        }
    }

    /// A key that is tied to a member or a worker mostly charges for them.
    pub(super) fn tie(&mut self, pool: &Pool, actor: &Actor, command: &mut Command) {
        let Command::Charge(request) = command else { return };
        let Actor::ApiKey(id) = actor else { return };
        let Some(key) = pool.keys().into_iter().find(|key| key.id == *id) else { return };
        if self.random.chance(850) {
            request.member = key.member.or(request.member.take());
            request.worker = key.worker.or(request.worker.take());
        }
    }

    /// Mostly a valid key, at times one that has ended, rarely an unknown id.
    pub(super) fn some_key(&mut self, pool: &Pool) -> ApiKeyId {
        let mut valid = pool.keys();
        valid.retain(|key| key.is_valid_at(self.now));
        match self.random.below(100) {
            0..85 if !valid.is_empty() => self.random.pick(&valid).id,
            0..96 if pool.key_count() > 0 => ApiKeyId(nth(self.random.index(pool.key_count()))),
            _ => ApiKeyId(unknown_id()),
        }
    }

    /// Mostly an admin, at times any member, at times a name that may not exist.
    pub(super) fn some_member(&mut self, pool: Option<&Pool>) -> MemberId {
        let mut members = pool.map_or_else(Vec::new, Pool::members);
        if self.random.chance(600) {
            members.retain(|member| member.role == Role::Admin);
        }
        if members.is_empty() || self.random.chance(100) {
            return member(self.random.pick::<&str>(&MEMBERS));
        }
        self.random.pick(&members).id.clone()
    }

    /// A new hash of a secret.
    pub(super) fn secret(&mut self) -> Hash {
        self.secrets += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.secrets.to_be_bytes());
        hash
    }

    /// A text about a person with a new salt.
    pub(super) fn text(&mut self, text: &str) -> PersonalText {
        personal_text(text, self.secret())
    }

    /// A team command. If it needs a member or a link that does not exist, mostly one that creates
    /// it instead.
    pub(super) fn team_command(&mut self, pool: &Pool) -> TeamCommand {
        let no_members = pool.members().is_empty() && self.random.chance(600);
        let (links, sessions) = (pool.links(self.now), pool.sessions(self.now));
        let create_first = self.random.chance(700);
        match self.random.below(100) {
            0..20 => self.add_member(),
            _ if no_members => self.add_member(),
            20..28 => {
                let changes = MemberChanges {
                    email: self.random.chance(200).then(|| self.text("other@acme.example")),
                    name: self.random.chance(300).then(|| self.text("Renamed")),
                    role: self.random.chance(500).then(|| *self.random.pick(&[Role::Admin, Role::Member])),
                };
                TeamCommand::ChangeMember(self.some_member(Some(pool)), Box::new(changes))
            }
            28..31 => TeamCommand::RemoveMember(self.some_member(Some(pool))),
            31..33 => TeamCommand::EraseMember(member(self.random.pick::<&str>(&MEMBERS))),
            33..43 => TeamCommand::Recipient(self.recipient_command(pool)),
            43..51 => self.create_key(),
            51..55 => TeamCommand::RevokeKey(self.some_key(pool)),
            55..63 => TeamCommand::RecordKeyUse(self.some_key(pool)),
            63..70 => self.create_link(pool),
            70..100 if links.is_empty() && sessions.is_empty() && create_first => self.create_link(pool),
            70..86 => self.sign_in(pool),
            86..100 if sessions.is_empty() && create_first => self.sign_in(pool),
            86..97 => self.sign_out(pool),
            _ => {
                let one = self.random.chance(600).then(|| self.some_member(Some(pool)));
                TeamCommand::SignOutAll(one)
            }
        }
    }

    fn add_member(&mut self) -> TeamCommand {
        TeamCommand::AddMember(Box::new(MemberRequest {
            id: member(self.random.pick::<&str>(&MEMBERS)),
            email: self.text("somebody@acme.example"),
            name: self.text("Somebody"),
            role: *self.random.pick(&[Role::Admin, Role::Member]),
        }))
    }

    fn create_link(&mut self, pool: &Pool) -> TeamCommand {
        TeamCommand::CreateLink(LinkRequest {
            member: self.some_member(Some(pool)),
            hash: self.secret(),
            return_url: self.random.chance(500).then(|| "https://acme.example/billing".into()),
            valid_for_seconds: *self.random.pick(&LIVES_SECONDS),
        })
    }

    fn create_key(&mut self) -> TeamCommand {
        let scopes = Scope::ALL.into_iter().filter(|_| self.random.chance(700)).collect();
        let lives = *self.random.pick(&LIVES_SECONDS);
        TeamCommand::CreateKey(ApiKeyRequest {
            name: "A key".into(),
            scopes,
            member: maybe(&mut self.random, &MEMBERS, member),
            worker: maybe(&mut self.random, &WORKERS, worker),
            expires_at: self.random.chance(400).then(|| self.now.plus_seconds(lives)),
            hash: self.secret(),
        })
    }

    /// Follows a link: mostly a valid one, often the one that was followed last, at times an
    /// unknown one.
    fn sign_in(&mut self, pool: &Pool) -> TeamCommand {
        let links = pool.links(self.now);
        let link = match self.random.below(100) {
            0..60 if !links.is_empty() => self.random.pick(&links).hash,
            0..95 => self.followed,
            _ => [0xff; 32],
        };
        self.followed = link;
        let valid_for_seconds = *self.random.pick(&LIVES_SECONDS);
        TeamCommand::SignIn { link, session: self.secret(), valid_for_seconds }
    }

    /// Ends a session: mostly a valid one, at times one that has ended, rarely an unknown one.
    fn sign_out(&mut self, pool: &Pool) -> TeamCommand {
        let valid = pool.sessions(self.now);
        TeamCommand::SignOut(match self.random.below(100) {
            0..80 if !valid.is_empty() => self.random.pick(&valid).id,
            0..90 if pool.link_count() > 0 => SessionId(nth(self.random.index(pool.link_count()))),
            _ => SessionId(unknown_id()),
        })
    }
}
