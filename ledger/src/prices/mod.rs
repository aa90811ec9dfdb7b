//! prices.

pub(crate) mod platform;
pub(crate) mod price_book;
