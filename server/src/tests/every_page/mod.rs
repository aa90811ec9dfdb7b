//! All pages of the dashboard at once, made from the table of routes, so that a new page or form is
//! in these tests too: a route that they do not know makes them fail.
//!
//! ```text
//! markup     reads a page as a browser does
//! hostile    texts of customers on every page, after every form, in every table
//! security   forms of other sites, frames, cookies, what a member reaches
//! weight     how large pages are with their files
//! ```

mod hostile;
mod markup;
mod security;
mod weight;

use tollkeeper_ledger::MailTopic;

use super::*;
use crate::access::cookie::form_token;
use crate::http::route::Route;
use crate::startup::site;

/// The page of the platform's product that the pages lead back to.
const BACK: &str = "https://shop.example/billing?a=1&b='2'";

/// What people typed as their address: what an address may have.
const EMAIL: &str = "o'b&r=1+x{0}@example.com";

/// Texts of customers, made from one base: each place has its own, so that it can be found.
#[derive(Clone, Copy, Debug)]
struct Texts(&'static str);

impl Texts {
    /// A free text. Without a base it is one long word.
    fn text(self, place: &str) -> String {
        match self.0 {
            "" => format!("{}{place}", "W".repeat(255 - place.len())),
            base => format!("{base}{place}"),
        }
    }

    /// A name: it may have neither control characters nor marks of direction.
    fn name(self, place: &str) -> String {
        let is_kept = |c: &char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(c);
        self.text(place).chars().filter(is_kept).collect()
    }

    /// A name of a plan, which is shorter.
    fn plan_name(self) -> String {
        let name = self.name("plan");
        let start = name.char_indices().rev().nth(99).map_or(0, |(at, _)| at);
        name[start..].to_owned()
    }
}

/// A workspace in which something of every sort is there, with texts everywhere.
struct Full {
    world: World,
    ada: String,
    bob: String,
    /// The session of an operator in the console.
    operator: String,
    texts: Texts,
    key: String,
    /// One with everything, one that failed, one that was refunded.
    charges: [String; 3],
    top_up: String,
    address: String,
    confirm: String,
    stop: String,
}

/// An address for mails that was typed: its id.
async fn typed_address(world: &World) -> String {
    let emails = serde_json::json!({ "emails": ["ada@example.com", EMAIL] }).to_string();
    let set = world.put("PUT", "/v1/workspaces/acme/alerts", "", &emails).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let rows = set.json()["emails"].clone();
    let typed = rows.as_array().into_iter().flatten().find(|row| row["member"].is_null());
    typed.expect("it was typed")["id"].as_str().expect("an id").to_owned()
}

impl World {
    /// Sends JSON that is accepted, or nothing.
    async fn made(&self, method: &str, path: &str, key: &str, body: Value) -> Value {
        let path =
            if path.starts_with("/v1") { path.to_owned() } else { format!("/v1/workspaces/acme/{path}") };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.put(method, &path, key, &body).await;
        assert!(matches!(reply.status, 200 | 201 | 204), "{path} {body}: {}", reply.text);
        serde_json::from_str(&reply.text).unwrap_or_default()
    }
}

fn id_of(made: &Value) -> String {
    made["id"].as_str().expect("it has an id").to_owned()
}

async fn full(base: &'static str) -> Full {
    let texts = Texts(base);
    let mut settings = settings();
    settings.theme.brand_name = Some(texts.name("brand"));
    settings.payments.instructions = texts.text("instructions");
    let world = world_of(&settings, NOW).await;
    let named = serde_json::json!({"name": texts.name("workspace")});
    world.made("PATCH", "/v1/workspaces/acme", "", named).await;
    let operations =
        ["@SUM:1", "-op", "support_message"].map(|id| serde_json::json!({"id": id, "unit_price": 500}));
    world.made("PUT", "/v1/price-book", "", serde_json::json!({ "operations": operations })).await;
    for (id, role) in [("ada", "admin"), ("bob", "member")] {
        let email = format!("{id}@example.com");
        let member = serde_json::json!({"id": id, "email": email, "name": texts.name(id), "role": role});
        world.made("POST", "members", "", member).await;
    }
    let key = serde_json::json!({"name": texts.name("key"), "scopes": ["charge"], "member": "bob"});
    let (key, secret) = world.make_key("acme", &key.to_string()).await;
    for (place, source) in [("grant", "promotional"), ("void", "adjustment")] {
        let grant = serde_json::json!({"source": source, "amount": 10_000_000, "reason": texts.text(place)});
        let grant = id_of(&world.made("POST", "grants", place, grant).await);
        if place == "void" {
            let why = serde_json::json!({"reason": texts.text("voided")});
            world.made("POST", &format!("grants/{grant}/void"), "voided", why).await;
        }
    }
    let charges = charges(&world, texts, &secret).await;
    let plans = serde_json::json!([{"id": "@p", "name": texts.plan_name(), "price_usd": "9.00",
        "credits": 900_000, "interval": "month"}]);
    world.made("PUT", "/v1/plans", "", serde_json::json!({ "plans": plans })).await;
    world.made("PUT", "subscription", "", serde_json::json!({"plan": "@p"})).await;
    world.save_card("acme").await;
    let top_up = world.open_top_up("acme").await;
    world.made("POST", &format!("top-ups/{top_up}/confirm"), "", Value::Null).await;
    let back = serde_json::json!({"amount_usd": "1.00", "reason": texts.text("back")});
    world.made("POST", &format!("top-ups/{top_up}/refund"), "back", back).await;
    let limits = [("api_key", key.as_str()), ("member", "bob"), ("operation", "@SUM:1"), ("worker", "-1:1")]
        .map(|(subject, id)| serde_json::json!({"subject": subject, "id": id, "period": "day", "amount": 10_000}));
    world.made("PUT", "limits", "", serde_json::json!({ "limits": limits })).await;
    let thresholds = serde_json::json!({"thresholds": [{"amount": 5_000_000}, {"runway_days": 7}]});
    world.made("PUT", "alerts", "", thresholds).await;
    let address = typed_address(&world).await;
    let confirm = world.mail_link(&address, None).await;
    let stop = world.mail_link("member:ada", Some(MailTopic::Low)).await;
    let [ada, bob] = [world.sign_in_with_way_back("ada").await, world.sign_in_with_way_back("bob").await];
    let operator = world.operator("olga", KEY).await;
    Full { world, ada, bob, operator, texts, key, charges, top_up, address, confirm, stop }
}

/// Three charges: one with every text, one whose outcome has a text, and one that was refunded with
/// one.
async fn charges(world: &World, texts: Texts, secret: &str) -> [String; 3] {
    let whole = serde_json::json!({"operation": "@SUM:1", "member": "bob", "worker": "-1:1",
        "reference": texts.text("reference"), "metadata": {texts.text("field"): texts.text("metadata")}});
    let path = ("POST", "/v1/workspaces/acme/charges");
    let made = world.ask_with(secret, path, "whole", &whole.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let waits = serde_json::json!({"operation": "-op", "timeout_seconds": 900});
    let failed = id_of(&world.made("POST", "charges", "failed", waits).await);
    let outcome = serde_json::json!({"result": "failed", "fault": "user", "detail": texts.text("outcome")});
    world.made("POST", &format!("charges/{failed}/outcome"), "", outcome).await;
    let refunded = id_of(&world.made("POST", "charges", "r", serde_json::json!({"operation": "-op"})).await);
    let why = serde_json::json!({"reason": texts.text("refund")});
    world.made("POST", &format!("charges/{refunded}/refund"), "refund", why).await;
    [made.id(), failed, refunded]
}

impl World {
    async fn sign_in_with_way_back(&self, member: &str) -> String {
        let body = serde_json::json!({"member": member, "return_url": BACK});
        let made = self.made("POST", "portal-sessions", "", body).await;
        let link = made["url"].as_str().and_then(|url| url.strip_prefix("http://localhost"));
        let reply = self.ask("POST", link.expect("it leads here"), &[], Body::empty()).await;
        let cookie = reply.header("set-cookie").expect("a session has a cookie");
        let secret = cookie.strip_prefix("tollkeeper_session=").and_then(|rest| rest.split(';').next());
        secret.expect("the cookie has our name").to_owned()
    }
}

/// A text as it stands in an address.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The routes of the dashboard with this method.
fn routes(method: &str) -> impl Iterator<Item = &'static Route> {
    let pages = crate::dashboard::ROUTES.iter().copied().flatten();
    pages.filter(move |route| route.method.as_str() == method)
}

impl Full {
    /// What a reader gets. Beside the session of the member, the browser has that of an operator.
    async fn ask_as(&self, session: &str, language: &str, path: &str) -> Reply {
        let cookie = format!(
            "tollkeeper_session={session}; tollkeeper_console={}; tollkeeper_language={language}",
            self.operator
        );
        self.world.ask("GET", path, &[("cookie", &cookie), ("accept", "text/html,*/*")], Body::empty()).await
    }

    /// The addresses of a route, some for each thing that it can show.
    fn addresses(&self, path: &'static str) -> Vec<String> {
        let with =
            |queries: &[&str]| queries.iter().map(|query| format!("{path}{query}")).collect::<Vec<_>>();
        let reference = format!("?reference={}", encoded(&self.texts.text("reference")));
        let key = format!("?by=key&key={}", self.key);
        match path {
            "/portal" | "/portal/session" | "/portal/team" | "/portal/api-keys" | "/portal/plan"
            | "/portal/plan/pay" | "/portal/alerts" => with(&[""]),
            "/portal/usage" | "/portal/usage.csv" => {
                let all =
                    ["", "?by=worker&range=today", "?by=member&member=bob", "?operation=%40SUM%3A1", &key];
                with(&all)
            }
            "/portal/charges" => with(&["", "?worker=-1%3A1&member=bob", &reference, "?status=refunded"]),
            "/portal/charges/{charge}" => {
                self.charges.iter().map(|charge| path.replace("{charge}", charge)).collect()
            }
            "/portal/alerts/topics" => {
                with(&["?recipient=member%3Aada", &format!("?recipient={}", encoded(&self.address))])
            }
            "/portal/limits" => with(&["", "?done=saved"]),
            "/portal/limits/change" => with(&[
                "?kind=member&id=bob&period=day",
                "?kind=worker&id=-1%3A1&period=day",
                &format!("?kind=api_key&id={}&period=day", self.key),
            ]),
            "/portal/activity" => with(&["", "?kind=credit", "?kind=team", "?kind=mails", "?actor=platform"]),
            "/portal/credits" => with(&["", "?notice=on"]),
            "/portal/credits/{top_up}" | "/portal/credits/{top_up}/pay" => {
                vec![path.replace("{top_up}", &self.top_up)]
            }
            "/portal/assets/{file}" => ["style.css", "x"].map(|file| path.replace("{file}", file)).to_vec(),
            "/portal/sign-in/{link}" => vec![path.replace("{link}", "tk_link_x")],
            "/mail/confirm/{workspace}/{recipient}" => vec![self.confirm.clone()],
            "/mail/unsubscribe/{workspace}/{recipient}/{topic}" => vec![self.stop.clone()],
            "/console" => with(&["", "?q=acme", "?only=debt"]),
            "/console/workspaces/{workspace}" => {
                ["", "?done=grant"].map(|query| format!("/console/workspaces/acme{query}")).to_vec()
            }
            "/console/workspaces/{workspace}/acts" => [
                "act=grant".to_owned(),
                "act=suspend".to_owned(),
                format!("act=refund&target={}", self.charges[0]),
                format!("act=refund_payment&target={}", self.top_up),
                "act=confirm_period".to_owned(),
            ]
            .map(|query| format!("/console/workspaces/acme/acts?{query}"))
            .to_vec(),
            "/console/payments" | "/console/deliveries" | "/console/state" => with(&[""]),
            unknown => panic!("no test opens {unknown}: say here which addresses it has"),
        }
    }

    /// What can be sent to a route: fields that are right, and fields with texts.
    fn fields(&self, path: &'static str) -> Vec<Vec<(&'static str, String)>> {
        let text = || self.texts.text("typed");
        let own = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
        };
        match path {
            "/portal/language" => vec![vec![("language", text())]],
            "/portal/sign-out"
            | "/portal/sign-out-all"
            | "/portal/alerts/test"
            | "/portal/credits/card"
            | "/portal/credits/billing" => vec![vec![]],
            "/portal/plan/change" => vec![own(&[("plan", "@p")]), vec![("plan", text()), ("due", text())]],
            "/portal/plan/cancel" => vec![vec![]],
            "/portal/alerts/thresholds" => {
                vec![vec![("amount", text()), ("days", text()), ("cooldown", text()), ("seen", text())]]
            }
            "/portal/alerts/recipients" => vec![vec![("email", text())]],
            "/portal/alerts/recipients/remove" | "/portal/alerts/topics" => {
                vec![vec![("recipient", text()), ("topic", text())]]
            }
            "/portal/limits" | "/portal/limits/remove" => {
                let typed = |kind: &str| {
                    let kind = ("kind", kind.to_owned());
                    vec![kind, ("id", text()), ("period", text()), ("amount", text())]
                };
                vec![
                    typed("worker"),
                    typed("api_key"),
                    typed("member"),
                    vec![("kind", text()), ("seen", text())],
                ]
            }
            "/portal/team/role" => {
                vec![own(&[("member", "bob"), ("role", "admin")]), vec![("member", text()), ("role", text())]]
            }
            "/portal/team/sign-out" => vec![vec![("member", text())]],
            "/portal/api-keys" => {
                let name = ("name", self.texts.name("new key"));
                let scope = ("scope", "read".to_owned());
                let wrong = vec![("member", text()), ("worker", text()), ("expires", text())];
                vec![vec![name.clone(), scope], [vec![name], wrong].concat()]
            }
            "/portal/api-keys/revoke" => vec![vec![("key", self.key.clone())], vec![("key", text())]],
            "/portal/credits" => vec![vec![("amount", text()), ("key", text())]],
            "/portal/credits/auto-top-up" => {
                vec![vec![("threshold", text()), ("amount", text()), ("cap", text())]]
            }
            "/portal/credits/auto-top-up/off" => vec![vec![]],
            "/portal/credits/card/remove" => vec![vec![]],
            unknown => panic!("no test sends a form to {unknown}: say here which fields it has"),
        }
    }

    /// Sends a form with the token of its session.
    async fn send(&self, session: &str, path: &str, fields: &[(&str, String)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &form_token(session)).extend_pairs(fields);
        self.world.send_form("POST", path, session, form.finish()).await
    }
}

/// The forms of signed-in members, those that end their session last.
fn forms() -> Vec<&'static Route> {
    let of_members = |route: &&Route| matches!(route.rule, crate::access::Rule::SignedIn(_));
    let mut forms: Vec<_> = routes("POST").filter(|route| route.is_form()).filter(of_members).collect();
    forms.sort_by_key(|route| route.path.contains("sign-out"));
    assert!(forms.len() > 15, "{} forms", forms.len());
    forms
}

/// The forms of operators, as paths in the workspace `acme`.
fn forms_of_operators() -> Vec<String> {
    let of_operators = routes("POST").filter(|route| route.rule == crate::access::Rule::Operator);
    let paths: Vec<_> = of_operators.map(|route| route.path.replace("{workspace}", "acme")).collect();
    assert!(paths.len() > 4, "{paths:?}");
    paths
}

/// Whether a reply is a page.
fn is_page(reply: &Reply) -> bool {
    reply.header("content-type") == Some("text/html; charset=utf-8")
}

/// The route that serves a path; `None` if there is none.
fn served_by(path: &str, method: &str) -> Option<&'static Route> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let matches = |route: &&'static Route| {
        let (own, parts) = (route.path.split('/'), path.split('/'));
        own.clone().count() == parts.clone().count()
            && own.zip(parts).all(|(own, part)| own == part || (own.starts_with('{') && !part.is_empty()))
            && route.method.as_str() == method
    };
    // A path without parameters is preferred to one with them.
    let found = site().routes.into_iter().filter(matches);
    found.min_by_key(|route| route.path.matches('{').count())
}
