//! The spender of a charge: the operation, worker, member and API key under which it and its
//! refunds are counted.
//!
//! Usage rows and limits are keyed by these four. A charge stores them once, and each refund
//! carries a copy, so that an entry can be counted without looking up the charge.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{ApiKeyId, MemberId, OperationId, WorkerId};

/// The operation that was paid for, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spender {
    /// The operation that was paid for.
    pub operation: OperationId,
    /// The AI worker that runs it, if the caller named one.
    pub worker: Option<WorkerId>,
    /// The member it runs for, if the caller named one.
    pub member: Option<MemberId>,
    /// The API key that opened the charge; `None` if the platform or a member opened it.
    pub api_key: Option<ApiKeyId>,
}

impl Spender {
    pub(crate) fn write(&self, w: &mut Writer) {
        let Spender { operation, worker, member, api_key } = self;
        w.bytes(operation.as_bytes());
        w.maybe_bytes(worker.as_ref().map(WorkerId::as_bytes));
        w.maybe_bytes(member.as_ref().map(MemberId::as_bytes));
        w.flag(api_key.is_some());
        if let Some(key) = api_key {
            w.id(key.0);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Spender, Malformed> {
        Ok(Spender {
            operation: OperationId::known(r.text("an operation")?),
            worker: r.maybe_text("a worker")?.map(WorkerId::known),
            member: r.maybe_text("a member")?.map(MemberId::known),
            api_key: if r.flag("an API key")? { Some(ApiKeyId(r.id("an API key")?)) } else { None },
        })
    }
}
