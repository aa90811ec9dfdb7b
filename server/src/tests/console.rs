//! The console: signing in, the search, acts with their reason, and what operators may not do.

use tollkeeper_engine::embedded::audit;
use tollkeeper_ledger::{Actor, Command, Submission, UnmatchedPayment, WorkspaceId};

use super::*;
use crate::access::cookie::form_token;
use crate::access::hash_password;

impl World {
    /// Sends a request as the browser of an operator does.
    async fn operate(&self, method: &str, path: &str, session: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        if method == "POST" && !session.is_empty() {
            form.append_pair("token", &form_token(session));
        }
        form.extend_pairs(fields);
        let cookie = format!("tollkeeper_console={session}");
        let headers = [
            ("cookie", cookie.as_str()),
            ("accept", "text/html,*/*"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.ask(method, path, &headers, form.finish()).await
    }

    /// Signs an operator in; returns the secret of the session.
    pub(super) async fn operator(&self, name: &str, secret: &str) -> String {
        let fields = [("operator", name), ("secret", secret)];
        let signed_in = self.operate("POST", "/console/sign-in", "", &fields).await;
        assert_eq!(signed_in.status, 303, "{}", signed_in.text);
        session_in(&signed_in)
    }

    /// Answers the question about an act; returns the response.
    async fn act(&self, session: &str, workspace: &str, fields: &[(&str, &str)]) -> Reply {
        let path = format!("/console/workspaces/{workspace}/acts");
        let asked = self.operate("POST", &path, session, fields).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        let key = hidden(&asked.text, "key");
        let confirmed = [fields, &[("confirmed", "yes"), ("key", key.as_str())]].concat();
        self.operate("POST", &path, session, &confirmed).await
    }

    async fn newest_entry(&self) -> Value {
        self.get("/v1/workspaces/acme/entries?limit=1").await.json()["data"][0].clone()
    }
}

fn session_in(reply: &Reply) -> String {
    let cookie = reply.header("set-cookie").expect("a cookie");
    let value = cookie.split_once('=').expect("a name and a value").1;
    value.split(';').next().expect("a secret").to_owned()
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
    after.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{name} in {page}")).to_owned()
}

#[tokio::test]
async fn an_operator_signs_in_with_the_platform_key_for_an_hour() {
    let world = world().await;
    let page = world.operate("GET", "/console", "", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h1>Console</h1>") && page.text.contains("Platform key"), "{}", page.text);
    let (key_of_workspace, sign_in) =
        (world.make_key("acme", r#"{"name":"k","scopes":["read"]}"#).await.1, "/console/sign-in");
    for (name, secret) in
        [("ada", "wrong"), ("ada", ""), ("ada", &*key_of_workspace), ("", KEY), ("a b", KEY)]
    {
        let refused = world.operate("POST", sign_in, "", &[("operator", name), ("secret", secret)]).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (422, None), "{name} {secret}");
        assert!(!refused.text.contains(&format!("value=\"{KEY}\"")), "the page does not repeat a secret");
    }
    let signed_in = world.operate("POST", sign_in, "", &[("operator", "ada"), ("secret", KEY)]).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/console")));
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("tollkeeper_console=tk_operator_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/console; Max-Age=3600; HttpOnly; SameSite=Strict"), "{cookie}");
    let session = session_in(&signed_in);
    let page = world.operate("GET", "/console", &session, &[]).await;
    assert!(page.text.contains("Signed in as ada") && page.text.contains("Acme"), "{}", page.text);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(
        (page.header("cache-control"), page.header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    world.pass_seconds(3_599);
    assert_eq!(world.operate("GET", "/console/state", &session, &[]).await.status, 200);
    world.pass_seconds(1);
    let ended = world.operate("GET", "/console/state", &session, &[]).await;
    assert_eq!(ended.status, 401);
    assert!(ended.text.contains("href=\"/console\""), "{}", ended.text);
}

#[tokio::test]
async fn over_https_the_cookie_of_the_console_is_bound_to_the_host() {
    let world = world().await;
    let form = format!("operator=ada&secret={KEY}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-proto", "https"),
        ("accept", "text/html"),
    ];
    let signed_in = world.ask("POST", "/console/sign-in", &headers, form).await;
    let cookie = signed_in.header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-tollkeeper_console=tk_operator_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let plain = format!("tollkeeper_console={}", session_in(&signed_in));
    let asked = [("cookie", plain.as_str()), ("x-forwarded-proto", "https")];
    world.ask("GET", "/console/state", &asked, Body::empty()).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_password_of_the_settings_takes_the_place_of_the_platform_key() {
    let mut settings = settings();
    let hash = hash_password("correct horse battery").expect("it is long enough");
    for (name, value) in [("operator_password_hash", &*hash), ("operator_session_minutes", "5")] {
        assert_eq!(settings.access.set(name, value), Some(()), "{name}");
    }
    for wrong in [
        ("operator_password_hash", &hash[..40]),
        ("operator_password_hash", "secret"),
        ("operator_session_minutes", "4"),
    ] {
        assert_eq!(settings.access.set(wrong.0, wrong.1), None, "{wrong:?}");
    }
    let world = world_of(&settings, NOW).await;
    assert!(world.operate("GET", "/console", "", &[]).await.text.contains("Password of the operators"));
    for secret in [KEY, "correct horse batterz"] {
        let fields = [("operator", "ada"), ("secret", secret)];
        assert_eq!(world.operate("POST", "/console/sign-in", "", &fields).await.status, 422, "{secret}");
    }
    let session = world.operator("ada", "correct horse battery").await;
    world.pass_seconds(299);
    assert_eq!(world.operate("GET", "/console/state", &session, &[]).await.status, 200);
    world.pass_seconds(1);
    assert_eq!(world.operate("GET", "/console/state", &session, &[]).await.status, 401);
}

#[tokio::test]
async fn guesses_are_limited() {
    let world = world().await;
    let fields = [("operator", "ada"), ("secret", "guess")];
    for _ in 0..10 {
        assert_eq!(world.operate("POST", "/console/sign-in", "", &fields).await.status, 422);
    }
    let refused = world.operate("POST", "/console/sign-in", "", &fields).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text);
}

#[tokio::test]
async fn signing_out_ends_a_session_or_all() {
    let world = world().await;
    let [first, second, third] = [
        world.operator("ada", KEY).await,
        world.operator("ada", KEY).await,
        world.operator("lin", KEY).await,
    ];
    let is_in =
        async |session: &str| world.operate("GET", "/console/state", session, &[]).await.status == 200;
    let out = world.operate("POST", "/console/sign-out", &first, &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/console")));
    let removed: Vec<_> =
        out.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()).collect();
    assert!(
        removed.iter().all(|cookie| cookie.contains("=; ") && cookie.contains("Max-Age=0")),
        "{removed:?}"
    );
    assert_eq!([is_in(&first).await, is_in(&second).await, is_in(&third).await], [false, true, true]);
    world.operate("POST", "/console/sign-out-all", &third, &[]).await;
    assert_eq!([is_in(&second).await, is_in(&third).await], [false, false]);
}

#[tokio::test]
async fn a_form_of_another_site_or_session_is_refused() {
    let world = world_with(1_000).await;
    let (own, other) = (world.operator("ada", KEY).await, world.operator("lin", KEY).await);
    let before = world.newest_entry().await;
    for path in ["/console/workspaces/acme/acts", "/console/workspaces/acme/view", "/console/sign-out-all"] {
        for token in [String::new(), form_token(&other)] {
            let form =
                format!("token={token}&act=grant&amount=1&reason=x&confirmed=yes&key={}", "0".repeat(32));
            let cookie = format!("tollkeeper_console={own}");
            let headers = [("cookie", &*cookie), ("content-type", "application/x-www-form-urlencoded")];
            world.ask("POST", path, &headers, form).await.problem(403, "forbidden");
        }
    }
    assert_eq!(world.newest_entry().await, before);
}

#[tokio::test]
async fn a_workspace_is_found_by_its_id_and_by_its_name() {
    let world = world().await;
    for (id, name) in [("ws_1", "North <b>Wind</b> & Co"), ("ws_2", "South Wind"), ("ws_3", "Acme Labs")] {
        let body = serde_json::json!({"id": id, "name": name}).to_string();
        assert_eq!(world.post("/v1/workspaces", "", &body).await.status, 201);
    }
    world.put("PATCH", "/v1/workspaces/ws_2", "", r#"{"suspended":true}"#).await;
    let session = world.operator("ada", KEY).await;
    let found = async |query: &str| {
        let page = world.operate("GET", &format!("/console?{query}"), &session, &[]).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let ids: Vec<String> = ["acme", "ws_1", "ws_2", "ws_3"].map(str::to_owned).into_iter().collect();
        let shown = ids.into_iter().filter(|id| page.text.contains(&format!("/console/workspaces/{id}\"")));
        (shown.collect::<Vec<_>>().join(" "), page.text)
    };
    assert_eq!(found("").await.0, "acme ws_1 ws_2 ws_3");
    assert_eq!(found("q=wind").await.0, "ws_1 ws_2");
    assert_eq!(found("q=ws_3").await.0, "ws_3");
    assert_eq!(found("q=acme").await.0, "acme ws_3", "an id, and a name");
    assert_eq!(found("only=suspended").await.0, "ws_2");
    assert_eq!(found("only=debt").await.0, "");
    for nothing in ["q=%3C%22", "q=unknown", "q=*"] {
        assert!(found(nothing).await.1.contains("No workspace was found."), "{nothing}");
    }
    let page = found("q=north").await.1;
    assert!(
        page.contains("North &#60;b&#62;Wind&#60;/b&#62; &#38; Co") && !page.contains("<b>Wind"),
        "{page}"
    );
}

#[tokio::test]
async fn an_act_asks_first_names_its_amount_and_stands_in_the_journal() {
    let world = world_with(1_000).await;
    world.add_member("acme", "ada", "admin").await;
    let session = world.operator("olga", KEY).await;
    let path = "/console/workspaces/acme/acts";
    let form = world.operate("GET", &format!("{path}?act=grant"), &session, &[]).await;
    assert!(form.text.contains("<h1>Grant credit: Acme</h1>"), "{}", form.text);
    let fields =
        [("act", "grant"), ("source", "adjustment"), ("amount", "12.50"), ("reason", "The <b>outage</b>")];
    let before = world.newest_entry().await;
    let asked = world.operate("POST", path, &session, &fields).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text.contains(">Grant $12.50</button>"), "{}", asked.text);
    assert!(asked.text.contains("The &#60;b&#62;outage&#60;/b&#62;"), "{}", asked.text);
    assert_eq!(world.newest_entry().await, before, "nothing is done before the answer");
    let key = hidden(&asked.text, "key");
    let confirmed = [&fields[..], &[("confirmed", "yes"), ("key", &*key)]].concat();
    for _ in 0..2 {
        let done = world.operate("POST", path, &session, &confirmed).await;
        let leads = done.header("location");
        assert_eq!((done.status, leads), (303, Some("/console/workspaces/acme?done=grant")), "{}", done.text);
    }
    assert_eq!(world.balance().await.0, 1_251_000, "the form was sent twice and acts once");
    let entry = world.newest_entry().await;
    let actor = serde_json::json!({"kind": "operator", "id": "olga", "reason": "The <b>outage</b>"});
    assert_eq!((&entry["kind"], &entry["actor"]), (&"grant.created".into(), &actor));
    let page = world.operate("GET", "/console/workspaces/acme?done=grant", &session, &[]).await;
    assert!(page.text.contains("The credit was granted.") && page.text.contains("$12.51"), "{}", page.text);
    // Another amount in a form that the browser kept is another act, which is asked about.
    let other =
        [&[("act", "grant"), ("amount", "99"), ("reason", "x")][..], &[("confirmed", "yes"), ("key", "0")]]
            .concat();
    assert!(world.operate("POST", path, &session, &other).await.text.contains(">Grant $99.00</button>"));
    let ada = world.sign_in("acme", "ada").await;
    let activity = world.browse("GET", "/portal/activity?actor=operators", &ada).await.text;
    assert!(activity.contains("Operator olga") && activity.contains("The &#60;b&#62;outage"), "{activity}");
}

#[tokio::test]
async fn what_was_typed_wrong_is_said_and_kept() {
    let world = world_with(1_000).await;
    let session = world.operator("olga", KEY).await;
    let path = "/console/workspaces/acme/acts";
    let long = "x".repeat(256);
    for (amount, reason, error) in [
        ("", "why", "Enter an amount such as"),
        ("0", "why", "Enter an amount such as"),
        ("1,000.00", "why", "Enter an amount such as"),
        ("5", "", "Enter a reason of 1 to 255"),
        ("5", "   ", "Enter a reason of 1 to 255"),
        ("5", &*long, "Enter a reason of 1 to 255"),
    ] {
        let fields = [("act", "grant"), ("amount", amount), ("reason", reason), ("confirmed", "yes")];
        let again = world.operate("POST", path, &session, &fields).await;
        assert_eq!(again.status, 422, "{amount} {reason}");
        assert!(again.text.contains(error) && again.text.contains("Nothing was done."), "{}", again.text);
        assert!(again.text.contains(&format!("value=\"{amount}\"")), "{}", again.text);
    }
    for target in [
        "",
        "act=unknown",
        "act=refund&target=x",
        "act=void&target=gr_1",
        "act=confirm_top_up&target=1",
        "act=confirm_period",
    ] {
        let missing = world.operate("GET", &format!("{path}?{target}"), &session, &[]).await;
        assert_eq!(missing.status, 404, "{target}");
    }
    world.operate("GET", "/console/workspaces/unknown", &session, &[]).await;
    assert_eq!(world.operate("GET", "/console/workspaces/unknown", &session, &[]).await.status, 404);
    assert_eq!(world.balance().await.0, 1_000);
}

#[tokio::test]
async fn every_act_does_what_it_says() {
    let world = world_with(100_000).await;
    let session = world.operator("olga", KEY).await;
    let charge = world.charge("c1", r#"{"operation":"virtual_try_on"}"#).await.id();
    let top_up = world.open_top_up("acme").await;
    let done = async |fields: &[(&str, &str)], leads: &str| {
        let done = world.act(&session, "acme", fields).await;
        let expected = format!("/console/workspaces/acme?done={leads}");
        assert_eq!((done.status, done.header("location")), (303, Some(expected.as_str())), "{}", done.text);
        assert_eq!(world.newest_entry().await["actor"]["id"], "olga");
    };
    let page = async || world.operate("GET", "/console/workspaces/acme", &session, &[]).await.text;
    let text = page().await;
    for act in
        ["act=refund&#38;target=", "act=confirm_top_up&#38;target=", "act=void&#38;target=", "act=suspend"]
    {
        assert!(text.contains(act), "{act} in {text}");
    }
    done(&[("act", "refund"), ("target", &charge), ("amount", "0.05"), ("reason", "slow")], "refund").await;
    assert_eq!(world.balance().await.0, 85_000);
    done(&[("act", "suspend"), ("reason", "fraud")], "suspend").await;
    world.charge("c2", r#"{"operation":"support_message"}"#).await.problem(403, "workspace_suspended");
    assert!(page().await.contains("act=resume") && page().await.contains("badge bad"));
    done(&[("act", "resume"), ("reason", "cleared")], "resume").await;
    done(&[("act", "confirm_top_up"), ("target", &top_up), ("reason", "invoice 7")], "confirm_top_up").await;
    assert_eq!(world.balance().await.0, 2_585_000);
    let refund = [("act", "refund_payment"), ("target", &*top_up), ("amount", "10"), ("reason", "asked")];
    done(&refund, "refund_payment").await;
    assert_eq!(world.balance().await.0, 1_585_000);
    let grants = world.get("/v1/workspaces/acme/grants").await.json();
    let given = grants["data"].as_array().expect("rows").iter().find(|row| row["source"] == "promotional");
    let given = given.expect("the workspace was given credit")["id"].as_str().expect("an id").to_owned();
    done(&[("act", "void"), ("target", &given), ("reason", "mistake")], "void").await;
    // What cannot be done is said in the form, which keeps the reason.
    let too_much =
        [("act", "refund_payment"), ("target", &*top_up), ("amount", "99"), ("reason", "too much")];
    let refused = world.act(&session, "acme", &too_much).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("role=\"alert\"") && refused.text.contains("too much"), "{}", refused.text);
    let World { app, clock: _, _dir } = world;
    app.engine().close().await.expect("the engine closes");
    drop(app);
    let report = audit(&_dir.path().join("data")).expect("it can be audited");
    assert!(report.disagreement.is_none(), "an audit decides every act again: {:?}", report.disagreement);
}

#[tokio::test]
async fn payments_of_a_plan_are_confirmed_once_also_if_the_form_is_sent_twice() {
    let world = world().await;
    let session = world.operator("olga", KEY).await;
    let path = "/console/workspaces/acme/acts";
    let mut brought = Vec::new();
    for (plan, act) in [("starter", "confirm_period"), ("growth", "confirm_change")] {
        let body = format!(r#"{{"plan":"{plan}"}}"#);
        assert_eq!(world.put("PUT", "/v1/workspaces/acme/subscription", "", &body).await.status, 200);
        let page = world.operate("GET", "/console/workspaces/acme", &session, &[]).await.text;
        assert!(
            page.contains(&format!("act={act}&#38;")) || page.contains(&format!("act={act}\"")),
            "{page}"
        );
        let fields = [("act", act), ("reason", "invoice 7")];
        let asked = world.operate("POST", path, &session, &fields).await;
        let key = hidden(&asked.text, "key");
        let confirmed = [&fields[..], &[("confirmed", "yes"), ("key", &*key)]].concat();
        for _ in 0..2 {
            let done = world.operate("POST", path, &session, &confirmed).await;
            assert_eq!(done.status, 303, "{act}: {}", done.text);
        }
        brought.push(world.balance().await.0);
    }
    assert!(brought[0] > 0 && brought[0] < brought[1], "{brought:?}");
    let entries = world.get("/v1/workspaces/acme/entries?limit=50").await.json();
    let grants =
        entries["data"].as_array().into_iter().flatten().filter(|row| row["kind"] == "grant.created");
    assert_eq!(grants.count(), 2, "each was paid once");
    let nothing = [("act", "confirm_period"), ("reason", "again")];
    assert_eq!(world.act(&session, "acme", &nothing).await.status, 409, "nothing is due");
}

#[tokio::test]
async fn an_operator_sees_a_workspace_as_its_admins_do_and_changes_nothing_there() {
    let world = world_with(100_000).await;
    world.add_member("acme", "ada", "admin").await;
    let session = world.operator("olga", KEY).await;
    let opened = world.operate("POST", "/console/workspaces/acme/view", &session, &[]).await;
    assert_eq!((opened.status, opened.header("location")), (303, Some("/portal")));
    let cookie = opened.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("tollkeeper_session=tk_view_") && cookie.contains("; Path=/portal; Max-Age=3600;"),
        "{cookie}"
    );
    let view = session_in(&opened);
    for path in [
        "/portal",
        "/portal/usage",
        "/portal/charges",
        "/portal/credits",
        "/portal/plan",
        "/portal/alerts",
        "/portal/limits",
        "/portal/team",
        "/portal/api-keys",
        "/portal/activity",
    ] {
        let page = world.browse("GET", path, &view).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(
            page.text.contains("as its admins do") && page.text.contains("is-viewed"),
            "{path}: {}",
            page.text
        );
        assert!(page.text.contains("href=\"/console/workspaces/acme\""), "{path}");
    }
    let session_of_view = world.browse("GET", "/portal/session", &view).await.json();
    assert_eq!((&session_of_view["member"], &session_of_view["name"]), (&"olga".into(), &Value::Null));
    let before = world.newest_entry().await;
    for path in [
        "/portal/team/role",
        "/portal/credits",
        "/portal/sign-out-all",
        "/portal/sign-out",
        "/portal/language",
    ] {
        let refused = world.browse("POST", path, &view).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    assert_eq!(world.newest_entry().await, before);
    assert_eq!(
        world.browse("GET", "/portal", &view.replace("_acme", "_other")).await.status,
        401,
        "there is no such workspace"
    );
    world.operate("POST", "/console/sign-out", &session, &[]).await;
    assert_eq!(world.browse("GET", "/portal", &view).await.status, 401, "the session has ended");
}

#[tokio::test]
async fn the_lists_of_the_console_show_what_needs_a_person() {
    let world = world().await;
    let session = world.operator("olga", KEY).await;
    let page = async |path: &str| {
        let page = world.operate("GET", path, &session, &[]).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        page.text
    };
    assert!(page("/console/payments").await.contains("Every payment fits."));
    assert!(page("/console/deliveries").await.contains("No webhook endpoint"));
    assert!(page("/console/state").await.contains("Everything is as it should be."));
    let command = Command::ReportUnmatched(UnmatchedPayment {
        payment: "pi_<1>".into(),
        cents: 2_500,
        currency: "eur".into(),
        workspace: None,
        why: "a <currency>".into(),
    });
    let (workspace, actor) = (WorkspaceId::platform(), Actor::System);
    let noted = world.app.engine().run(Submission { workspace, key: None, actor, command }, world.app.now());
    assert!(noted.await.is_ok_and(|noted| noted.is_ok()));
    let payments = page("/console/payments").await;
    assert!(payments.contains("pi_&#60;1&#62;") && payments.contains("2,500 EUR"), "{payments}");
    let state = page("/console/state").await;
    assert!(
        state.contains("Something is not as it should be.") && state.contains("unmatched payments"),
        "{state}"
    );
    let german = [("cookie", format!("tollkeeper_console={session}; tollkeeper_language=de"))];
    let headers: Vec<_> = german.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let state = world.ask("GET", "/console/state", &headers, Body::empty()).await.text;
    assert!(
        state.contains("<html lang=\"de\">") && state.contains("Etwas ist nicht, wie es sein soll."),
        "{state}"
    );
}
