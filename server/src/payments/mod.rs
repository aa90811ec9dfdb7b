//! How money comes in: the settings of payments. What a top-up or a payment is, is in the ledger.

pub mod settings;
