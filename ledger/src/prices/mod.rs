//! What operations cost: the price book and its versions (`price_book`), the settings that decide
//! money (`settings`), and the platform's own journal (`platform`).

pub(crate) mod platform;
pub(crate) mod price_book;
pub(crate) mod settings;
