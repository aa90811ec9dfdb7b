//! The payment provider Stripe: what is sent to it, and what is read of its answers.
//!
//! ```text
//! calls       what is sent for each call: path and parameters
//! client      sends one request; time-outs, bounds, retries of what was not carried out
//! form        the parameters of a request
//! error       why a request has no answer that can be used
//! objects     the fields that are read of an answer
//! signature   whether a webhook event comes from Stripe
//! provider    the client, the mode, the name of the ledger
//! webhook     the route that takes webhook events
//! observe     fetches an object, and tells the ledger what it says
//! customer    the customer that a workspace is at Stripe
//! place       makes the pages on which a payer pays or saves a card
//! subscribe   makes what a subscription is at Stripe: its price, its page, its end
//! charge_card charges the saved card for automatic top-ups
//! send_back   sends the money of payment refunds back
//! after_error what to do after an error of a call that moves money
//! unanswered  what was heard of calls whose outcome is not known
//! receipts    the address of a receipt
//! asked       when Stripe was asked about which top-up or subscription
//! heard       which events were carried out
//! settings    keys, address, tax
//! ```
//!
//! A request that moves money has an idempotency key that was fixed before it was sent, so the same
//! call can be sent again. An answer that never came, or that cannot be read, is *unknown*: the
//! caller sends the same call again or looks the object up. It never counts as a failure. Which
//! calls are due and what their answers mean for the ledger is not here.

pub mod after_error;
pub mod asked;
pub mod calls;
pub mod charge_card;
pub mod client;
pub mod customer;
pub mod error;
pub mod form;
pub mod heard;
pub mod objects;
pub mod observe;
pub mod place;
pub mod provider;
pub mod receipts;
pub mod send_back;
pub mod settings;
pub mod signature;
pub mod subscribe;
pub mod unanswered;
pub mod webhook;

/// The version of the API that every request names. Webhook events may have another version, so
/// nothing but type and ids is read of them.
pub const API_VERSION: &str = "2026-10-28.endive";
