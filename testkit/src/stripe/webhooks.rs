//! Webhooks: signed bodies, and a queue that loses, doubles, delays and shuffles on request.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::random::Random;

/// How long a webhook is tried again, in seconds.
const RETRIED_SECONDS: i64 = 3 * 24 * 3600;
/// The time from the first attempt to the second; it doubles from attempt to attempt.
const RETRY_SECONDS: i64 = 3600;

/// One webhook as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The event's id.
    pub id: String,
    /// The event's type, such as `invoice.paid`.
    pub kind: String,
    /// The id of the object in the event.
    pub object: String,
    /// The headers to send, the signature among them.
    pub headers: Vec<(String, String)>,
    /// The body, byte by byte as it was signed.
    pub body: Vec<u8>,
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The event's id.
    pub event: String,
    /// The event's type.
    pub kind: String,
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
}

/// How webhooks are mistreated, each by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Of 100 events, how many are never sent.
    pub lost_percent: u64,
    /// Of 100 events, how many are sent twice.
    pub doubled_percent: u64,
    /// Of 100 deliveries, how many are delayed.
    pub delayed_percent: u64,
    /// The longest delay.
    pub delay_seconds_max: u64,
    /// The due deliveries are sent in a random order.
    pub shuffled: bool,
}

/// A delivery that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub event: String,
    pub due_at: i64,
    first_at: i64,
    attempts: u32,
}

/// The deliveries that wait.
#[derive(Debug)]
pub(super) struct WebhookQueue {
    pub secrets: Vec<String>,
    waiting: Vec<Waiting>,
    disorder: Option<(Random, Disorder)>,
}

impl WebhookQueue {
    pub(super) fn new(secrets: Vec<String>) -> WebhookQueue {
        WebhookQueue { secrets, waiting: Vec::new(), disorder: None }
    }

    pub(super) fn mistreat(&mut self, seed: u64, disorder: Disorder) {
        self.disorder = Some((Random::new(seed), disorder));
    }

    pub(super) fn treat_well(&mut self) {
        self.disorder = None;
    }

    pub(super) fn enqueue(&mut self, event: &str, now: i64) {
        let waiting = |due_at| Waiting { event: event.to_owned(), due_at, first_at: now, attempts: 0 };
        let Some((random, disorder)) = &mut self.disorder else {
            self.waiting.push(waiting(now));
            return;
        };
        if random.percent(disorder.lost_percent) {
            return;
        }
        let copies = if random.percent(disorder.doubled_percent) { 2 } else { 1 };
        for _ in 0..copies {
            let is_delayed = random.percent(disorder.delayed_percent);
            let delay = if is_delayed { random.below(disorder.delay_seconds_max + 1) } else { 0 };
            self.waiting.push(waiting(now + i64::try_from(delay).unwrap_or(RETRIED_SECONDS)));
        }
    }

    /// The deliveries that wait, in the order in which they were queued.
    pub(super) fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Forgets every delivery that waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Takes the deliveries that are due.
    pub(super) fn take_due(&mut self, now: i64) -> Vec<Waiting> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            self.waiting.drain(..).partition(|waiting| waiting.due_at <= now);
        self.waiting = later;
        if let Some((random, Disorder { shuffled: true, .. })) = &mut self.disorder {
            random.shuffle(&mut due);
        }
        due
    }

    /// Queues a delivery again that was not answered with 2xx, for three days.
    pub(super) fn again(&mut self, mut waiting: Waiting, now: i64) {
        waiting.due_at = now + (RETRY_SECONDS << waiting.attempts.min(10));
        waiting.attempts += 1;
        if waiting.due_at - waiting.first_at <= RETRIED_SECONDS {
            self.waiting.push(waiting);
        }
    }
}

/// The value of `Stripe-Signature`: one `v1` for each secret.
pub(super) fn signature(secrets: &[String], at: i64, body: &[u8]) -> String {
    let mut header = format!("t={at}");
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key has any length");
        mac.update(format!("{at}.").as_bytes());
        mac.update(body);
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

/// Sends a webhook and returns the status of the answer.
pub(super) fn send(url: &str, webhook: &Webhook) -> Option<u16> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(std::time::Duration::from_secs(30)))
        .build();
    let mut request = ureq::Agent::new_with_config(config).post(url);
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    request.send(&webhook.body[..]).ok().map(|answer| answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::{Disorder, WebhookQueue, signature};

    #[test]
    fn a_webhook_is_tried_for_three_days() {
        let mut queue = WebhookQueue::new(Vec::new());
        queue.enqueue("evt_1", 0);
        let (mut now, mut attempts) = (0, 0);
        while let Some(next) = queue.waiting().first() {
            now = next.due_at;
            for waiting in queue.take_due(now) {
                attempts += 1;
                queue.again(waiting, now);
            }
        }
        assert!(attempts > 5 && now > 24 * 3600 && now <= 3 * 24 * 3600, "{attempts} until {now}");
    }

    #[test]
    fn disorder_loses_doubles_and_delays_by_its_seed() {
        let disorder = Disorder {
            lost_percent: 20,
            doubled_percent: 20,
            delayed_percent: 50,
            delay_seconds_max: 100,
            shuffled: true,
        };
        let sent = |seed| {
            let mut queue = WebhookQueue::new(Vec::new());
            queue.mistreat(seed, disorder);
            (0..100).for_each(|number| queue.enqueue(&number.to_string(), 0));
            let now = queue.take_due(0).into_iter().map(|waiting| waiting.event).collect::<Vec<_>>();
            (now, queue.waiting().len())
        };
        assert_eq!(sent(1), sent(1));
        let (now, later) = sent(1);
        assert!(later > 10 && now.len() > 20, "{} now, {later} later", now.len());
        assert!(!now.is_sorted_by_key(|number| number.parse::<u32>().ok()));
    }

    #[test]
    fn each_secret_signs() {
        let header = signature(&["whsec_a".to_owned(), "whsec_b".to_owned()], 12, b"{}");
        assert_eq!(header.matches(",v1=").count(), 2);
        assert!(header.starts_with("t=12,v1="));
        assert_eq!(header.len(), "t=12".len() + 2 * (",v1=".len() + 64));
    }
}
