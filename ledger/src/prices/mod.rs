//! What operations cost: the price book and its versions (`price_book`), and the platform's own
//! journal (`platform`).

pub(crate) mod platform;
pub(crate) mod price_book;
