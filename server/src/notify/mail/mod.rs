//! E-mail: what a mail says, how it looks, and how it leaves (P13).
//!
//! ```text
//! settings   the relay, the sender, the addresses of the platform
//! address    the address of a mailbox
//! letter     a mail with its headers and bodies
//! relay      hands a mail to the relay and says what became of it
//! about      what a mail is about: facts as plain data
//! context    what a mail says besides: the workspace, its credit, links
//! compose    words and figures of each mail
//! words      amounts, thresholds and reasons as words
//! page       the two forms of a mail: plain text and HTML
//! samples    one sample of every mail, to look at
//! trial      a mail that tries the settings
//! ```
//!
//! Nothing here reads the ledger or a clock. Who gets mails is decided in the ledger's team.

pub mod about;
pub(crate) mod address;
pub mod compose;
pub mod context;
pub mod letter;
mod page;
pub mod relay;
pub mod samples;
pub(crate) mod settings;
pub mod trial;
mod words;
