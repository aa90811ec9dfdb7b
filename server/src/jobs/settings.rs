//! The settings of the polling job.

/// How often the polling job runs.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// The interval between two searches for passed deadlines, in milliseconds.
    pub tick_ms: u64,
}

impl Default for JobSettings {
    fn default() -> JobSettings {
        JobSettings { tick_ms: 250 }
    }
}

impl JobSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "tick_ms" => self.tick_ms = value.parse().ok().filter(|ms| (10..=60_000).contains(ms))?,
            _ => return None,
        }
        Some(())
    }
}
