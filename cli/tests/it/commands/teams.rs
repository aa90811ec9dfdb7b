//! Commands about members, keys, limits and the portal, on all targets; and with the key of a
//! workspace on a server.

use serde_json::{Value, json};

use super::target::{Target, everywhere};
use crate::harness::{KEY, TestClient, TestServer, printed, zone_at};

/// Creates a workspace with an admin, Ada.
fn with_ada(target: &Target) {
    // In this time zone, no day ends during a test.
    target.text(&["workspace", "create", "acme", "--name", "Acme", "--timezone", &zone_at(12)]);
    target.text(&[
        "member",
        "add",
        "acme",
        "ada",
        "--email",
        "ada@example.com",
        "--name",
        "Ada Lovelace",
        "--role",
        "admin",
    ]);
}

/// The values of a field in all rows of a list.
fn column(list: &Value, field: &str) -> Vec<Value> {
    list["data"].as_array().expect("the answer is a list").iter().map(|row| row[field].clone()).collect()
}

/// Runs a command that removes something; asserts that it prints this line.
#[track_caller]
fn prints(target: &Target, args: &[&str], line: &str) {
    assert_eq!(target.text(args), format!("{line}\n"));
}

/// Runs a command; asserts its exit code, the code of its refusal, and that it prints a hint.
#[track_caller]
fn refused(target: &Target, args: &[&str], exit: i32, code: &str) {
    let stderr = target.refused(args, exit);
    assert!(
        stderr.starts_with("error: ") && stderr.contains(&format!("cause: {code}")),
        "{args:?}: {stderr}"
    );
    assert!(stderr.contains("hint: "), "{args:?}: {stderr}");
}

#[test]
fn members_are_added_changed_and_removed() {
    everywhere(|target| {
        with_ada(target);
        let ben = target.json(&[
            "member",
            "add",
            "acme",
            "ben",
            "--email",
            "ben@example.com",
            "--name",
            "Benjamin",
        ]);
        assert_eq!((&ben["id"], &ben["role"]), (&json!("ben"), &json!("member")), "{ben}");
        let list = target.json(&["member", "list", "acme"]);
        assert_eq!(column(&list, "id"), [json!("ben"), json!("ada")]);
        let table = target.text(&["member", "list", "acme", "--limit", "1"]);
        assert!(table.starts_with("ID ") && table.contains("ben@example.com"), "{table}");
        assert_eq!(target.json(&["member", "show", "acme", "ben"]), ben);

        refused(
            target,
            &["member", "add", "acme", "ada", "--email", "a@b.c", "--name", "A"],
            1,
            "member_exists",
        );
        refused(target, &["member", "remove", "acme", "ada"], 1, "last_admin");
        refused(target, &["member", "change", "acme", "ada", "--role", "member"], 1, "last_admin");
        refused(target, &["member", "show", "acme", "zoe"], 1, "member_not_found");
        refused(target, &["member", "list", "nobody"], 1, "workspace_not_found");
        refused(
            target,
            &["member", "add", "acme", "x", "--email", "none", "--name", "X"],
            2,
            "invalid_field",
        );

        let changed = target.text(&["member", "change", "acme", "ben", "--name", "Ben", "--role", "admin"]);
        assert!(changed.contains("\nname        Ben\nrole        admin\n"), "{changed}");
        prints(target, &["member", "remove", "acme", "ada"], "ada is removed from acme");
        let erased = "the names and e-mail addresses of ada in acme are erased";
        prints(target, &["member", "erase", "acme", "ada"], erased);
        refused(target, &["member", "erase", "acme", "zoe"], 1, "member_not_found");
        refused(target, &["member", "remove", "acme", "ada"], 1, "member_not_found");
        assert_eq!(column(&target.json(&["member", "list", "acme"]), "name"), [json!("Ben")]);
    });
}

#[test]
fn the_secret_of_a_key_is_printed_once_alone_on_its_line() {
    everywhere(|target| {
        with_ada(target);
        let create = [
            "key",
            "create",
            "acme",
            "--name",
            "of ada",
            "--scope",
            "charge,read",
            "--member",
            "ada",
            "--worker",
            "w-7",
        ];
        let shown = target.text(&create);
        let secret = shown.lines().last().expect("a last line");
        assert!(secret.starts_with("tk_workspace_") && secret.ends_with("_acme"), "{shown}");
        assert!(shown.contains("printed once") && shown.contains("\nscopes      charge,read\n"), "{shown}");
        assert_eq!(shown.matches("tk_workspace_").count(), 1, "{shown}");

        let args = ["key", "create", "acme", "--name", "reports", "--scope", "read", "--scope", "manage"];
        let until = "2099-01-01T00:00:00.000Z";
        let made = target.json(&[&args[..], &["--expires-at", "2099-01-01T00:00:00Z"]].concat());
        assert_eq!((&made["scopes"], &made["expires_at"]), (&json!(["read", "manage"]), &json!(until)));
        let id = made["id"].as_str().expect("the answer has an id");

        let list = target.json(&["key", "list", "acme"]);
        assert_eq!(column(&list, "name"), [json!("reports"), json!("of ada")]);
        let table = target.text(&["key", "list", "acme"]);
        assert!(table.contains("  charge,read ") && table.contains("  w-7 "), "{table}");
        assert!(!table.contains("tk_workspace_") && !list.to_string().contains("tk_workspace_"), "{list}");

        let expired = ["key", "create", "acme", "--name", "late", "--scope", "read", "--expires-at"];
        refused(target, &[&expired[..], &["2001-01-01T00:00:00Z"]].concat(), 2, "invalid_field");
        refused(target, &[&expired[..], &["soon"]].concat(), 2, "invalid_field");
        refused(
            target,
            &["key", "create", "nobody", "--name", "n", "--scope", "read"],
            1,
            "workspace_not_found",
        );
        prints(target, &["key", "revoke", "acme", id], &format!("{id} is revoked"));
        refused(target, &["key", "revoke", "acme", id], 1, "api_key_not_found");
        refused(target, &["key", "revoke", "acme", "the-first"], 1, "api_key_not_found");
        assert_eq!(column(&target.json(&["key", "list", "acme"]), "name"), [json!("of ada")]);
    });
}

#[test]
fn limits_are_set_shown_replaced_and_cleared() {
    everywhere(|target| {
        with_ada(target);
        assert_eq!(target.text(&["limits", "show", "acme"]), "", "no limits print nothing to stdout");
        target.text(&["grant", "create", "acme", "--usd", "10", "--reason", "welcome"]);
        let set = target.json(&["limits", "set", "acme", "workspace/month=500", "member:ada/day=0.30"]);
        let rows = set["limits"].as_array().expect("the answer has limits");
        assert_eq!((rows.len(), &rows[0]["id"], &rows[1]["amount"]), (2, &Value::Null, &json!(30_000)));
        target.text(&["charge", "create", "acme", "virtual_try_on", "--member", "ada", "--key", "1"]);
        let stderr = target
            .refused(&["charge", "create", "acme", "virtual_try_on", "--member", "ada", "--key", "2"], 1);
        for part in ["cause: limit_exceeded: ", "remaining 10,000 (0.10 USD)", "resets_at 20", "hint: "] {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
        let table = target.text(&["limits", "show", "acme"]);
        let ada = table.lines().find(|line| line.starts_with("member")).expect("a line");
        let columns: Vec<&str> = ada.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            columns[..6],
            ["member", "ada", "day", "30,000 (0.30 USD)", "20,000 (0.20 USD)", "10,000 (0.10 USD)"],
            "{table}"
        );

        // A new list replaces all limits. A limit that stays keeps its use.
        let set =
            target.json(&["limits", "set", "acme", "member:ada/day=1", "operation:virtual_try_on/month=5"]);
        let used: Vec<_> =
            set["limits"].as_array().expect("the answer has limits").iter().map(|row| &row["used"]).collect();
        assert_eq!(used, [&json!(20_000), &json!(20_000)], "{set}");
        for wrong in ["member:ada/week=1", "member/day=1", "team:x/day=1", "member:ada/day=1,5"] {
            let stderr = target.refused(&["limits", "set", "acme", wrong], 2);
            assert!(stderr.starts_with("error: invalid value ") && stderr.contains(": the "), "{stderr}");
        }
        refused(target, &["limits", "set", "acme", "api_key:x/day=1"], 2, "invalid_field");
        refused(target, &["limits", "show", "nobody"], 1, "workspace_not_found");
        assert_eq!(target.json(&["limits", "show", "acme"]), set, "a refusal changed nothing");
        assert_eq!(target.json(&["limits", "clear", "acme"]), json!({"limits": []}));
    });
}

#[test]
fn thresholds_are_set_shown_replaced_and_cleared() {
    everywhere(|target| {
        with_ada(target);
        assert_eq!(target.text(&["alerts", "show", "acme"]), "", "no thresholds print nothing to stdout");
        target.text(&["grant", "create", "acme", "--usd", "1", "--reason", "welcome"]);
        let set = target.json(&["alerts", "set", "acme", "7d", "0.90", "0.20", "--cooldown-hours", "1"]);
        let rows = set["thresholds"].as_array().expect("the answer has thresholds");
        assert_eq!((rows.len(), &set["cooldown_hours"]), (3, &json!(1)));
        assert_eq!((&rows[0]["amount"], &rows[2]["runway_days"]), (&json!(20_000), &json!(7)));
        target.text(&["charge", "create", "acme", "virtual_try_on", "--key", "1"]);
        let table = target.text(&["alerts", "show", "acme"]);
        let low: Vec<&str> = table.lines().filter(|line| line.contains("  low  ")).collect();
        assert!(low.len() == 1 && low[0].trim_start().starts_with("90,000 (0.90 USD)"), "{table}");
        let set = target.json(&["alerts", "set", "acme", "0.90"]);
        let rows = set["thresholds"].as_array().expect("the answer has thresholds");
        assert_eq!((rows.len(), &rows[0]["state"], &set["cooldown_hours"]), (1, &json!("low"), &json!(24)));
        for wrong in ["0", "366d", "7days", "1.000001"] {
            let stderr = target.refused(&["alerts", "set", "acme", wrong], 2);
            assert!(stderr.starts_with("error: invalid value "), "{stderr}");
        }
        refused(target, &["alerts", "show", "nobody"], 1, "workspace_not_found");
        assert_eq!(target.json(&["alerts", "clear", "acme"])["thresholds"], json!([]));
    });
}

#[test]
fn recipients_of_emails_are_chosen_shown_muted_and_cleared() {
    everywhere(|target| {
        with_ada(target);
        let table = target.text(&["alerts", "emails", "show", "acme"]);
        assert!(table.contains("member:ada  ada@example.com  "), "{table}");
        let addresses = ["ada@example.com", "finance@example.com"];
        let set = target.json(&["alerts", "emails", "set", "acme", addresses[0], addresses[1]]);
        assert_eq!(set["recipients"], "chosen");
        let table = target.text(&["alerts", "emails", "show", "acme"]);
        let finance = table.lines().find(|line| line.contains("finance@example.com")).expect("a line");
        assert!(finance.starts_with("rcp_") && finance.contains("unconfirmed"), "{table}");
        let muted = target.json(&["alerts", "emails", "mute", "acme", "member:ada", "balance.low"]);
        let rows = muted["emails"].as_array().expect("the answer has recipients");
        assert!(rows.iter().any(|row| row["muted"] == json!(["balance.low"])), "{muted}");
        refused(
            target,
            &["alerts", "emails", "mute", "acme", "member:eve", "debt"],
            1,
            "recipient_not_found",
        );
        refused(target, &["alerts", "emails", "mute", "acme", "member:ada", "rain"], 2, "invalid_field");
        refused(target, &["alerts", "emails", "set", "acme", "nobody"], 2, "invalid_field");
        assert_eq!(target.json(&["alerts", "emails", "clear", "acme"])["recipients"], "admins");
    });
}

#[test]
fn a_link_is_created_and_sessions_are_ended() {
    everywhere(|target| {
        with_ada(target);
        let shown = target.text(&["portal", "link", "acme", "ada"]);
        let url = shown.lines().last().expect("a last line");
        assert!(url.starts_with("http://127.0.0.1:") && url.contains("/portal/sign-in/tk_link_"), "{shown}");
        assert!(shown.starts_with("Signs in ada, once and before 20"), "{shown}");
        let made = target.json(&[
            "portal",
            "link",
            "acme",
            "ada",
            "--return-url",
            "https://app.example.com/billing",
        ]);
        assert_eq!(made["member"], "ada", "{made}");
        refused(target, &["portal", "link", "acme", "zoe"], 1, "member_not_found");
        refused(target, &["portal", "link", "acme", "ada", "--return-url", "nowhere"], 2, "invalid_field");
        prints(target, &["portal", "end", "acme", "--member", "ada"], "ada is signed out of acme");
        prints(target, &["portal", "end", "acme"], "every member is signed out of acme");
        refused(target, &["portal", "end", "acme", "--member", "zoe"], 1, "member_not_found");
        refused(target, &["portal", "end", "nobody"], 1, "workspace_not_found");
        if let Target::Server(url, _) = target {
            let link = made["url"].as_str().and_then(|link| link.strip_prefix(url)).expect("of this server");
            TestClient::new(url, KEY).get(link).problem(410, "portal_link_expired");
        }
    });
}

#[test]
fn a_removal_prints_no_json() {
    everywhere(|target| {
        with_ada(target);
        let output = target.run(&["portal", "end", "acme", "--json"]);
        assert_eq!((output.status.code(), printed(&output).as_str()), (Some(0), ""));
        let output = target.run(&["member", "remove", "acme", "zoe", "--json"]);
        let problem: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
        assert_eq!((output.status.code(), &problem["code"]), (Some(1), &json!("member_not_found")));
    });
}

#[test]
fn commands_with_a_key_of_the_workspace_are_limited_by_its_scopes() {
    let server = TestServer::fresh();
    let platform = Target::Server(&server.url, KEY);
    with_ada(&platform);
    platform.text(&["workspace", "create", "other", "--name", "Other"]);
    platform.text(&["grant", "create", "acme", "--usd", "10", "--reason", "welcome"]);
    let key = |args: &[&str]| {
        let made = platform.json(&[&["key", "create", "acme", "--name", "k"], args].concat());
        made["secret"].as_str().expect("the answer has a secret").to_owned()
    };
    let manages_as_ada = key(&["--scope", "manage", "--member", "ada"]);
    let [charges, reads, manages] =
        [&["--scope", "charge", "--member", "ada"][..], &["--scope", "read"], &["--scope", "manage"]]
            .map(key);
    let with = |key| Target::Server(&server.url, key);

    let paid = with(&charges).json(&["charge", "create", "acme", "virtual_try_on", "--key", "1"]);
    assert_eq!((&paid["member"], &paid["amount"]), (&json!("ada"), &json!(20_000)));
    let charge = paid["id"].as_str().expect("the answer has an id");
    with(&charges).text(&["charge", "outcome", "acme", charge, "succeeded"]);
    with(&charges).text(&["charge", "quote", "acme", "virtual_try_on"]);
    assert_eq!(with(&reads).json(&["balance", "acme"])["available"], 980_000);
    with(&reads).text(&["entries", "acme"]);
    with(&reads).text(&["limits", "show", "acme"]);
    with(&manages).text(&["limits", "set", "acme", "member:ada/month=5"]);
    with(&manages).text(&["member", "list", "acme"]);
    with(&manages).text(&["key", "create", "acme", "--name", "another", "--scope", "read"]);
    with(&manages).text(&["workspace", "update", "acme", "--timezone", "Europe/Berlin"]);

    for (key, args) in [
        (&charges, &["balance", "acme"][..]),
        (&charges, &["charge", "create", "acme", "virtual_try_on", "--member", "ben", "--key", "2"]),
        (&charges, &["charge", "refund", "acme", charge, "--reason", "mine", "--key", "3"]),
        (&reads, &["charge", "create", "acme", "virtual_try_on", "--key", "4"]),
        (&reads, &["member", "list", "acme"]),
        (&manages, &["grant", "create", "acme", "--usd", "1", "--reason", "mine", "--key", "5"]),
        (&manages, &["portal", "link", "acme", "ada"]),
        (&manages, &["workspace", "list"]),
        (&manages, &["key", "create", "acme", "--name", "n", "--scope", "settle"]),
        (&charges, &["charge", "outcome", "acme", charge, "failed", "--fault", "system"]),
        (&manages_as_ada, &["key", "create", "acme", "--name", "n", "--scope", "charge", "--member", "ben"]),
    ] {
        refused(&with(key), args, 1, "forbidden");
    }
    // A key created with a bound key is bound to the same member.
    let made =
        with(&manages_as_ada).json(&["key", "create", "acme", "--name", "its own", "--scope", "charge"]);
    assert_eq!(made["member"], "ada");
    // A key sees only its own workspace.
    refused(&with(&reads), &["balance", "other"], 1, "workspace_not_found");
    let made = &made["secret"].as_str().expect("the answer has a secret");
    let charge = ["charge", "create", "acme", "virtual_try_on", "--key", "6"];
    with(made).text(&charge);
    let newest = platform.json(&["key", "list", "acme"])["data"][0]["id"].clone();
    platform.text(&["key", "revoke", "acme", newest.as_str().expect("the answer has an id")]);
    refused(&with(made), &charge, 1, "unauthenticated");
}
