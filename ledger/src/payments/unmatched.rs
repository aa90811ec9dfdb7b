//! Money that came in and fits nothing that was asked for, such as a payment in another currency.
//!
//! It never grants credit by itself. It is an entry of the platform's journal, one for each
//! payment, so that a person can look after it. The newest are in
//! `prices::platform`, to be listed.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{IdempotencyKey, WorkspaceId};

/// A payment that fits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmatchedPayment {
    /// The name of the payment.
    pub payment: Box<str>,
    /// What came in, in hundredths of the currency.
    pub cents: i64,
    /// The code of the currency in three lower-case letters, such as `eur`.
    pub currency: Box<str>,
    /// The workspace that may have paid, if the provider names one.
    pub workspace: Option<WorkspaceId>,
    /// Why it fits nothing, for people.
    pub why: Box<str>,
}

impl UnmatchedPayment {
    /// The key of the one entry about the payment. No caller can choose it.
    pub(crate) fn key(&self) -> IdempotencyKey {
        let key = format!("\u{1}unmatched:{}", self.payment);
        assert!(IdempotencyKey::new(&key).is_err(), "a caller must not be able to choose a derived key");
        IdempotencyKey::known(&key)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let UnmatchedPayment { payment, cents, currency, workspace, why } = self;
        w.text(payment);
        w.signed(*cents);
        w.text(currency);
        w.maybe_text(workspace.as_ref().map(WorkspaceId::as_str));
        w.text(why);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<UnmatchedPayment, Malformed> {
        Ok(UnmatchedPayment {
            payment: r.text("an unmatched payment")?.into(),
            cents: r.signed("an unmatched payment's cents")?,
            currency: r.text("an unmatched payment's currency")?.into(),
            workspace: r.maybe_text("an unmatched payment's workspace")?.map(WorkspaceId::known),
            why: r.text("why a payment is unmatched")?.into(),
        })
    }
}
