//! What leaves the server by itself: messages to subscribers of the journal.
//!
//! ```text
//! mail        e-mail: what a mail says and how it leaves
//! mailer      sends mails about entries
//! settings    the settings of webhooks
//! secret      the secret of the instance, the secrets of endpoints, signatures
//! address     where a message may go
//! sender      sends one message and reads the answer
//! outlet      where the messages of a subscriber go, and what is special about it
//! schedule    when a message that was not accepted is sent again
//! webhooks    the state that all of them share, and its counters
//! envelope    a message as it is sent
//! message     what a message says about an entry
//! subscriber  serves one subscriber
//! webhook_outlet  sends the messages of a webhook endpoint
//! dispatcher  follows the journal for all subscribers
//! thread      the thread on which the dispatcher runs
//! mail_link   the links in mails that work without a key
//! ```

pub(crate) mod address;
pub(crate) mod dispatcher;
pub(crate) mod envelope;
pub mod mail;
pub(crate) mod mail_link;
pub(crate) mod mailer;
mod message;
pub(crate) mod outlet;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod sender;
pub(crate) mod settings;
mod subscriber;
pub(crate) mod thread;
mod webhook_outlet;
pub(crate) mod webhooks;
