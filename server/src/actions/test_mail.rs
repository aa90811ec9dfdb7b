//! Sends a test mail to everybody who gets the warnings of a workspace now.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{WorkspaceId, hex};

use crate::access::secret;
use crate::http::call::{Call, existing};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::notify::mailer::trial::TrialOutcome;

/// Sends the mail at once; returns what became of it for each recipient. Once a minute for a
/// workspace.
///
/// # Errors
/// No relay is set, one was sent a moment ago, there is no such workspace, or the engine fails.
pub async fn send(call: &Call, workspace: &WorkspaceId) -> Result<Vec<TrialOutcome>, Problem> {
    existing(workspace, call.app.engine().workspace(workspace).await?)?;
    let mailer = call.app.mailer.clone();
    let mailer = mailer.ok_or_else(|| {
        Problem::new(Code::MailNotSetUp, "This server sends no mails: the setting `smtp_url` is not set.")
    })?;
    if let Some(seconds) = mailer.trial_pause(workspace, call.now) {
        let detail = format!("A test mail was sent a moment ago. Wait {seconds} s.");
        return Err(Problem::new(Code::RateLimited, detail).with("retry_after_seconds", seconds));
    }
    let random: [u8; 32] = secret::random().map_err(|error| refusal::internal(&error))?;
    Ok(mailer.try_out(&call.app, workspace, &hex(&random)).await?)
}
