//! What leaves the server by itself: messages to webhook endpoints, and mails.
//!
//! ```text
//! mail        e-mail: what a mail says and how it leaves
//! settings    the settings of webhooks
//! secret      the secret of the instance, the secrets of endpoints, signatures
//! address     where a message may go
//! sender      sends one message and reads the answer
//! schedule    when a message that was not accepted is sent again
//! webhooks    the state that all of them share, and its counters
//! envelope    a message as it is sent
//! message     what a message says about an entry
//! subscriber  serves one endpoint
//! dispatcher  follows the journal for all endpoints
//! thread      the thread on which the dispatcher runs
//! mail_link   the links in mails that work without a key
//! ```

pub(crate) mod address;
pub(crate) mod dispatcher;
pub(crate) mod envelope;
pub mod mail;
pub(crate) mod mail_link;
mod message;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod sender;
pub(crate) mod settings;
mod subscriber;
pub(crate) mod thread;
pub(crate) mod webhooks;
