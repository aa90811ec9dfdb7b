//! Operators: people of the platform who act in the console, and their sessions there.
//!
//! A session is state of the platform's journal and known by the SHA-256 of a secret that only the
//! browser has. How an operator proves who they are is checked before, by the server. An entry that
//! an operator causes names the operator and a reason. Cookies and pages are not here.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Hash, OperatorId, OperatorSessionId, Timestamp, bounds};

/// The session of an operator in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSession {
    /// The id; it is not the secret.
    pub id: OperatorSessionId,
    /// Who acts in it.
    pub operator: OperatorId,
    /// SHA-256 of the secret in the session's cookie.
    pub hash: Hash,
    /// The time of its beginning.
    pub created_at: Timestamp,
    /// The first instant at which it is no longer valid.
    pub expires_at: Timestamp,
}

impl OperatorSession {
    /// True until it expires.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let OperatorSession { id, operator, hash, created_at, expires_at } = self;
        w.id(id.0);
        w.text(operator.as_str());
        w.raw(hash);
        w.time(*created_at);
        w.time(*expires_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<OperatorSession, Malformed> {
        Ok(OperatorSession {
            id: OperatorSessionId(r.id("an operator's session")?),
            operator: OperatorId::known(r.text("an operator")?),
            hash: r.hash("the hash of an operator's session")?,
            created_at: r.time("the beginning of an operator's session")?,
            expires_at: r.time("the end of an operator's session")?,
        })
    }
}

/// What is asked about sessions of operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorCommand {
    /// Begins a session of an operator, whose secret the server has checked.
    SignIn {
        /// Who acts in it.
        operator: OperatorId,
        /// SHA-256 of the session's secret.
        session: Hash,
        /// The seconds for which it is valid.
        valid_for_seconds: i64,
    },
    /// Ends a session, or all of them.
    SignOut(Option<OperatorSessionId>),
}

/// An act of an operator: who acts, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OperatorAct {
    /// Who acts.
    pub operator: OperatorId,
    /// The reason, for people: 1 to 255 characters.
    pub reason: Box<str>,
}

/// The sessions of operators, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorSessions(Vec<OperatorSession>);

impl OperatorSessions {
    /// The valid session with this hash of its secret.
    #[must_use]
    pub fn find(&self, hash: &Hash, now: Timestamp) -> Option<&OperatorSession> {
        self.0.iter().find(|session| session.hash == *hash && session.is_valid_at(now))
    }

    /// True if the operator has a valid session.
    #[must_use]
    pub fn has(&self, operator: &OperatorId, now: Timestamp) -> bool {
        self.0.iter().any(|session| session.operator == *operator && session.is_valid_at(now))
    }

    /// Those that have not been ended; some may have expired.
    #[must_use]
    pub fn list(&self) -> &[OperatorSession] {
        &self.0
    }

    /// Adds a session. Those that have expired leave, and beyond the bound the oldest.
    pub(crate) fn begin(&mut self, session: &OperatorSession) {
        self.0.retain(|known| known.is_valid_at(session.created_at));
        let oldest = self.0.len().saturating_sub(bounds::OPERATOR_SESSIONS_MAX - 1);
        self.0.drain(..oldest);
        self.0.push(session.clone());
        assert!(self.0.len() <= bounds::OPERATOR_SESSIONS_MAX, "the sessions must stay bounded");
    }

    /// Ends a session, or all.
    pub(crate) fn end(&mut self, ended: Option<OperatorSessionId>) {
        self.0.retain(|session| ended.is_some_and(|id| session.id != id));
        assert!(!self.is_concerned(ended), "a session that was ended must be gone");
    }

    /// True if ending this session, or all, would change something.
    pub(crate) fn is_concerned(&self, ended: Option<OperatorSessionId>) -> bool {
        self.0.iter().any(|session| ended.is_none_or(|id| session.id == id))
    }
}
