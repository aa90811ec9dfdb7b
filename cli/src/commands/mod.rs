//! commands.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod balance;
pub(crate) mod charge;
pub(crate) mod entries;
pub(crate) mod grant;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod member;
pub(crate) mod migrate;
pub(crate) mod portal;
pub(crate) mod prices;
pub(crate) mod serve;
pub(crate) mod transfer;
pub(crate) mod workspace;
