//! The pages about warnings, limits, members, API keys and the journal: what admins and members
//! see, and each form.

mod activity;
mod alerts;
mod api_keys;
mod limits;
mod states;
mod team;

use super::*;
use crate::access::cookie::form_token;

/// A workspace with credit, and sessions of its admin Ada and its member Bob.
struct Pages {
    world: World,
    ada: String,
    bob: String,
}

async fn pages() -> Pages {
    pages_of(&settings()).await
}

async fn pages_of(settings: &Settings) -> Pages {
    let world = world_of(settings, NOW).await;
    world.grant("acme", "start", 1_000_000).await;
    world.add_member("acme", "ada", "admin").await;
    world.add_member("acme", "bob", "member").await;
    let (ada, bob) = (world.sign_in("acme", "ada").await, world.sign_in("acme", "bob").await);
    Pages { world, ada, bob }
}

impl Pages {
    /// The text of a page that opens.
    async fn see(&self, session: &str, path: &str) -> String {
        let page = self.world.browse("GET", path, session).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        page.text
    }

    /// Sends a form of a page.
    async fn submit(&self, session: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &form_token(session)).extend_pairs(fields);
        self.world.send_form("POST", path, session, form.finish()).await
    }

    /// Sends a form of Ada's that is accepted; returns where it leads.
    async fn accepted(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.submit(&self.ada, path, fields).await;
        assert_eq!(reply.status, 303, "{path} {fields:?}: {}", reply.text);
        reply.header("location").expect("a redirection has a target").to_owned()
    }

    /// Sends a form of Ada's that is shown again, with what is wrong.
    async fn refused(&self, path: &str, fields: &[(&str, &str)], wrong: &str) -> String {
        let reply = self.submit(&self.ada, path, fields).await;
        assert_eq!(reply.status, 422, "{path} {fields:?}: {}", reply.text);
        let banner = format!("role=\"alert\">{}", wrong.replace('\'', "&#39;"));
        assert!(reply.text.contains(&banner), "{wrong} is not in {}", reply.text);
        reply.text
    }

    /// A charge for a member.
    async fn charge_for(&self, key: &str, operation: &str, member: &str) {
        let body = format!(r#"{{"operation":"{operation}","member":"{member}","worker":"w-7"}}"#);
        assert_eq!(self.world.charge(key, &body).await.status, 201);
    }
}

/// The number of forms on a page that change something, besides those of the frame.
fn forms(page: &str) -> usize {
    let of_frame = ["/portal/language", "/portal/sign-out\""];
    let frame: usize = of_frame
        .iter()
        .map(|action| page.matches(&format!("method=\"post\" action=\"{action}")).count())
        .sum();
    page.matches("method=\"post\"").count() - frame
}
