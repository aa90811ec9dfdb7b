//! How money comes in: the settings of payments, what time makes of subscriptions, and the payment
//! provider Stripe. What a top-up or a payment is, is in the ledger.

pub mod settings;
#[expect(dead_code, reason = "the routes of payments use it in parts")]
pub mod stripe;
pub mod subscriptions;
