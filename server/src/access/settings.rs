//! The settings of access: the platform key, rate limits, sessions, the password of operators.

use super::password;
use super::secret::Secret;

/// Who may use the API and how often.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// The platform key. If it is set, it is the only platform key that is accepted.
    pub platform_key: Option<Secret>,
    /// The requests a second that platform keys may make together; 0 for no limit.
    pub platform_key_requests_per_second: u32,
    /// The requests a second that each API key of a workspace may make; 0 for no limit.
    pub workspace_key_requests_per_second: u32,
    /// The requests a second that all API keys of a workspace may make together; 0 for no limit.
    pub workspace_requests_per_second: u32,
    /// How long a session in the dashboard lasts, in hours.
    pub portal_session_hours: u32,
    /// How long a session in the console lasts, in minutes.
    pub operator_session_minutes: u32,
    /// The hash of the password with which operators sign in to the console. If it is not set, they
    /// sign in with a platform key.
    pub operator_password_hash: Option<Secret>,
    /// Whether members see the use of other members on the dashboard's pages.
    pub members_see_others_use: bool,
}

impl Default for AccessSettings {
    fn default() -> AccessSettings {
        AccessSettings {
            platform_key: None,
            platform_key_requests_per_second: 0,
            workspace_key_requests_per_second: 1_000,
            workspace_requests_per_second: 2_000,
            portal_session_hours: 12,
            operator_session_minutes: 60,
            operator_password_hash: None,
            members_see_others_use: true,
        }
    }
}

impl AccessSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let requests = || value.parse().ok().filter(|requests| *requests <= 1_000_000_u32);
        match name {
            "platform_key" => self.platform_key = Some(platform_key(value)?),
            "platform_key_requests_per_second" => self.platform_key_requests_per_second = requests()?,
            "workspace_key_requests_per_second" => self.workspace_key_requests_per_second = requests()?,
            "workspace_requests_per_second" => self.workspace_requests_per_second = requests()?,
            "portal_session_hours" => {
                self.portal_session_hours = value.parse().ok().filter(|hours| (1..=720).contains(hours))?;
            }
            "operator_session_minutes" => {
                let minutes = value.parse().ok().filter(|minutes| (5..=1_440).contains(minutes))?;
                self.operator_session_minutes = minutes;
            }
            "operator_password_hash" => {
                self.operator_password_hash = password::is_hash(value).then(|| Some(Secret::new(value)))?;
            }
            "members_see_others_use" => self.members_see_others_use = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

fn platform_key(text: &str) -> Option<Secret> {
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    (is_printable && (1..=255).contains(&text.len())).then(|| Secret::new(text))
}
