//! Mails about what happens in workspaces, sent over SMTP to a real server of the test.
//!
//! Time passes by the clock of the test, so a day takes no time.

mod events;
mod failures;
mod recipients;
mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use tollkeeper_testkit::smtp::{self, ReceivedMail, SmtpServer};

use super::deliveries::dispatch;
use super::*;
use crate::settings::MailSettings;

/// Enough that what was to be sent in a moment has been sent.
const A_WHILE: Duration = Duration::from_millis(300);

const A_DAY_SECONDS: i64 = 86_400;

/// A mail relay, and the mails that it has taken.
struct Relay {
    server: SmtpServer,
    mails: Vec<ReceivedMail>,
}

impl Relay {
    fn start() -> Relay {
        Relay { server: SmtpServer::start(), mails: Vec::new() }
    }

    /// Settings with which mails go there.
    fn settings(&self) -> Settings {
        settings_for(&self.server.address())
    }

    /// Waits until this many mails have arrived since the start; returns the last one.
    #[track_caller]
    fn wait(&mut self, count: usize) -> impl Future<Output = ReceivedMail> {
        let caller = std::panic::Location::caller();
        async move {
            for _ in 0..2_000 {
                self.mails.extend(self.server.mails());
                if self.mails.len() >= count {
                    return self.mails[count - 1].clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{caller}: {} of {count} mails arrived: {:?}", self.mails.len(), self.subjects())
        }
    }

    /// The subjects of all mails after a while, with their recipients.
    async fn all(&mut self) -> Vec<String> {
        tokio::time::sleep(A_WHILE).await;
        self.mails.extend(self.server.mails());
        self.subjects()
    }

    fn subjects(&self) -> Vec<String> {
        self.mails.iter().map(|mail| format!("{} to {}", mail.header("Subject"), mail.to())).collect()
    }

    /// The number of different mails.
    fn ids(&self) -> usize {
        self.mails.iter().map(|mail| mail.header("Message-ID").to_owned()).collect::<BTreeSet<_>>().len()
    }
}

fn settings_for(address: &str) -> Settings {
    let mut settings = settings();
    settings.jobs.tick_ms = 10;
    settings.http.public_url = Some("https://credits.example".to_owned());
    let mut mail = MailSettings::default();
    mail.set("smtp_url", &format!("smtp://{address}?tls=none")).expect("a URL of a relay");
    mail.set("mail_from", "Credits <credits@tollkeeper.example>").expect("an address");
    mail.set("mail_platform", "ops@tollkeeper.example").expect("an address");
    settings.mail = mail;
    settings
}

/// A world whose workspace has an admin, Ada, and 100,000 micro-units.
async fn world_with_admin(settings: &Settings, email: &str) -> World {
    let world = world_of(settings, NOW).await;
    world.member("ada", email, "admin").await;
    world.grant("acme", "start", 100_000).await;
    world
}

impl World {
    async fn member(&self, id: &str, email: &str, role: &str) {
        let body = format!(r#"{{"id":"{id}","email":"{email}","name":"{id}","role":"{role}"}}"#);
        let reply = self.post("/v1/workspaces/acme/members", "", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }

    async fn thresholds(&self, thresholds: &str) {
        let body = format!(r#"{{"thresholds":{thresholds}}}"#);
        let reply = self.put("PUT", "/v1/workspaces/acme/alerts", "", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// Charges virtual try-ons, 20,000 micro-units each.
    async fn try_on(&self, key: &str, quantity: u32) -> Reply {
        self.charge(key, &format!(r#"{{"operation":"virtual_try_on","quantity":{quantity}}}"#)).await
    }

    /// Lets this many limits refuse a charge; each is a mail.
    async fn reach_limits(&self, count: usize) {
        let limit = |n| format!(r#"{{"subject":"member","id":"m{n}","period":"day","amount":1000}}"#);
        let body = format!(r#"{{"limits":[{}]}}"#, (0..count).map(limit).collect::<Vec<_>>().join(","));
        let reply = self.put("PUT", "/v1/workspaces/acme/limits", "", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        for n in 0..count {
            let body = format!(r#"{{"operation":"virtual_try_on","member":"m{n}"}}"#);
            assert_eq!(self.charge(&format!("limit {n}"), &body).await.status, 402);
        }
    }

    /// The kinds of the newest entries of the workspace, with what they say, oldest first.
    async fn log(&self, kinds: &str) -> Vec<Value> {
        let path = format!("/v1/workspaces/acme/entries?after=1-0&kinds={kinds}&limit=100");
        let reply = self.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["data"].as_array().expect("a list").clone()
    }

    /// Waits until a metric has this value.
    async fn counted_until(&self, name: &str, value: u64) {
        for _ in 0..500 {
            if self.counted(name).await == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} is {}", self.counted(name).await);
    }

    /// Waits until the list of mails that failed is as wanted.
    async fn failed_mails(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut shown = Value::Null;
        for _ in 0..1_000 {
            shown = self.get("/v1/mail-deliveries").await.json();
            if is_it(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not in time: {shown}");
    }
}

fn waiting(deliveries: &Value) -> usize {
    let exceptions = deliveries["exceptions"].as_array().expect("a list");
    exceptions.iter().filter(|exception| exception["status"] == "waiting").count()
}
