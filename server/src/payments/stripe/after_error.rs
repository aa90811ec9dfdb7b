//! What to do after an error of a call that moves money.
//!
//! The same call is sent again under its key, which carries it out once. There are two limits. An
//! error may be saved for the key, so that no answer will ever come. And a key is forgotten after a
//! day. Then the object that the call made is looked for. If it is not there, and minutes later
//! again not, the call left nothing and is begun anew under another key. What the calls are is in
//! `charge_card` and `send_back`.

use tollkeeper_ledger::{PaymentCommand, ProviderCall, ProviderCommand, Timestamp, bounds};

use super::customer::Payer;
use super::error::{IDEMPOTENCY_ERROR, StripeError, Why};
use super::observe::NotObserved;

/// What to do after an error of a call that moves money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send the same call again later.
    Later,
    /// Look for what the call made.
    LookUp,
    /// Nothing was made, and the same call makes nothing.
    Refused,
}

impl Payer<'_> {
    /// What to do after an error of a call.
    pub(super) fn next_after(&self, error: &StripeError, call: ProviderCall, generation: u32) -> Next {
        match error {
            // The key of the API may do less than it must. An operator can mend that.
            StripeError::Refused { status: 401 | 403, .. } | StripeError::Busy { .. } => Next::Later,
            // The same key was sent before, with a card that was replaced since.
            StripeError::Refused { code: Some(code), .. } if code.as_str() == IDEMPOTENCY_ERROR => {
                Next::LookUp
            }
            StripeError::Refused { .. } | StripeError::Declined(_) => Next::Refused,
            StripeError::Unknown(Why::Status(_)) => {
                let repeats = self.stripe.unanswered().note_error(call, generation);
                if repeats { Next::LookUp } else { Next::Later }
            }
            StripeError::Unknown(_) => Next::Later,
        }
    }

    /// True if the key of a call that began at this time must be sent no more.
    pub(super) fn is_key_used_up(&self, began_at: Timestamp) -> bool {
        began_at.plus_seconds(bounds::CALL_KEY_SECONDS) <= self.app.now()
    }

    /// A look-up found nothing of a call. If one before found nothing either, the call is begun
    /// anew; its new key is due at once.
    ///
    /// # Errors
    /// `why`, if it is too early to say that the call left nothing.
    pub(super) async fn begin_anew_if_absent(
        &self,
        call: ProviderCall,
        lost: u32,
        why: NotObserved,
    ) -> Result<(), NotObserved> {
        if !self.stripe.unanswered().note_absent(call, lost, self.app.now()) {
            return Err(why);
        }
        tracing::warn!(workspace = %self.workspace, ?call, lost, "a call left nothing at Stripe and is begun anew");
        self.run(PaymentCommand::Provider(ProviderCommand::RenewCall { call, lost })).await
    }
}
