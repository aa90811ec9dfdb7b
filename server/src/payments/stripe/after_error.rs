//! What to do after an error of a call that moves money.
//!
//! The same call is sent again under its key, which carries it out once. There are two limits. An
//! error may be saved for the key, so that no answer will ever come. And a key is forgotten after a
//! day. Then the object that the call made is looked for. If it is not there, the call is begun
//! anew under another key. From that commit on no server sends the key before. Some minutes later,
//! when its last request has ended and lists show what it made, the object is looked for again.
//! Only if it is still not there, the new key is sent. What the calls are is in `charge_card` and
//! `send_back`.

use tollkeeper_ledger::{PaymentCommand, ProviderCall, ProviderCommand, Timestamp, bounds};

use super::customer::Payer;
use super::error::{IDEMPOTENCY_ERROR, StripeError, Why};
use super::observe::NotObserved;

/// How long a call that was begun anew waits. A request takes less than a minute, with all its
/// tries; a list may lack a new object for a moment.
const SETTLES_SECONDS: i64 = 300;

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
            error if error.has_code(IDEMPOTENCY_ERROR) => Next::LookUp,
            StripeError::Refused { .. } | StripeError::Declined(_) => Next::Refused,
            StripeError::Unknown(Why::Status(_)) => {
                let repeats = self.stripe.unanswered().note_error(call, generation);
                if repeats { Next::LookUp } else { Next::Later }
            }
            StripeError::Unknown(_) => Next::Later,
        }
    }

    /// True if the key of a call that began at this time must be sent no more. Of a call that a
    /// clock dates in the future the age is not known.
    pub(super) fn is_key_used_up(&self, began_at: Timestamp) -> bool {
        let now = self.app.now();
        began_at.is_ahead_of(now) || began_at.plus_seconds(bounds::CALL_KEY_SECONDS) <= now
    }

    /// Checks that all requests under the keys before have ended, and that lists show what they
    /// made.
    ///
    /// # Errors
    /// It is too early.
    pub(super) fn check_settled(&self, generation: u32, began_at: Timestamp) -> Result<(), NotObserved> {
        let now = self.app.now();
        let is_early = !began_at.is_ahead_of(now) && now < began_at.plus_seconds(SETTLES_SECONDS);
        if generation > 0 && is_early { Err(NotObserved::Unanswered) } else { Ok(()) }
    }

    /// Begins a call anew of which a look-up found nothing. Its new key waits
    /// ([`Payer::check_settled`]).
    pub(super) async fn begin_anew(&self, call: ProviderCall, lost: u32) -> Result<(), NotObserved> {
        tracing::warn!(workspace = %self.workspace, ?call, lost, "a call left nothing at Stripe and is begun anew");
        self.run(PaymentCommand::Provider(ProviderCommand::RenewCall { call, lost })).await
    }
}
