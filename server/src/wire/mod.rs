//! The values of the API in JSON: how they are read, checked and written.
//!
//! Nothing here knows a route, a status or a caller. Reading returns a [`ReadError`]; the folder
//! `http` gives it a status and a code. Types in this folder are shared by several resources; a
//! type that one resource uses alone is in that resource's file in `api`.

mod error;
pub(crate) mod metadata;
pub(crate) mod page;
pub(crate) mod position;
pub(crate) mod quantity;
pub(crate) mod read;
pub(crate) mod subject;
pub(crate) mod url;
pub(crate) mod write;

pub use error::ReadError;
