//! What operations cost: prices (`price`), the price book and its versions (`price_book`), the
//! plans (`plan`), the settings that decide money (`settings`), webhook endpoints
//! (`webhook_endpoint`, `message`), sessions of operators (`operator`), and the platform's own
//! journal (`platform`).

pub(crate) mod message;
pub(crate) mod operator;
pub(crate) mod plan;
pub(crate) mod platform;
pub(crate) mod price;
pub(crate) mod price_book;
pub(crate) mod settings;
pub(crate) mod webhook_endpoint;
