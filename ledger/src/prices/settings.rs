//! The settings that decide money, the same for every server of a ledger.
//!
//! They are entries of the platform's journal, so that every server decides by the same values, an
//! export carries them, and an audit can see which value was in force. What decides no money, such
//! as where a server listens, is configured at each server. Who may change them, and to what, is
//! decided in `decide::platform`.

use crate::bounds;
use crate::journal::codec::{Malformed, Reader, Writer};

/// The settings of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformSettings {
    /// Days after its opening in which a settled charge may still be refunded by a late failure of
    /// the system.
    pub refund_window_days: u32,
}

impl Default for PlatformSettings {
    /// What is in force until the platform sets something else.
    fn default() -> PlatformSettings {
        PlatformSettings { refund_window_days: bounds::REFUND_WINDOW_DEFAULT_DAYS }
    }
}

impl PlatformSettings {
    /// The refund window in seconds.
    #[must_use]
    pub fn refund_window_seconds(self) -> i64 {
        assert!(
            self.refund_window_days <= bounds::REFUND_WINDOW_MAX_DAYS,
            "a refund window must not be longer than the longest"
        );
        i64::from(self.refund_window_days) * bounds::DAY_SECONDS
    }

    pub(crate) fn write(self, w: &mut Writer) {
        w.unsigned(u64::from(self.refund_window_days));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<PlatformSettings, Malformed> {
        let days = u32::try_from(r.unsigned("a refund window")?).ok();
        let days = days.filter(|days| *days <= bounds::REFUND_WINDOW_MAX_DAYS);
        Ok(PlatformSettings { refund_window_days: days.ok_or(Malformed("a refund window"))? })
    }
}
