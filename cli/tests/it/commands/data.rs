//! Data commands: the same text and JSON from a data directory, from a database and from a server.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::target::{Target, everywhere};
use crate::harness::{TestServer, printed, tollkeeper};

#[test]
fn the_settings_are_shown_and_changed() {
    everywhere(|target| {
        target.json(&["workspace", "create", "acme", "--name", "Acme"]);
        assert_eq!(target.json(&["settings", "show"]), json!({"refund_window_days": 30}));
        let set = ["settings", "set", "--refund-window-days", "14"];
        assert_eq!(target.json(&set), json!({"refund_window_days": 14}));
        assert_eq!(target.json(&["settings", "show"]), json!({"refund_window_days": 14}));
    });
}

#[test]
fn a_workspace_from_its_creation_to_its_last_refund() {
    everywhere(|target| {
        let made =
            target.json(&["workspace", "create", "acme", "--name", "Acme", "--timezone", "Europe/Berlin"]);
        assert_eq!((&made["id"], &made["timezone"]), (&json!("acme"), &json!("Europe/Berlin")));
        target.json(&["grant", "create", "acme", "--usd", "1.5", "--reason", "welcome"]);
        let charge = target.json(&[
            "charge",
            "create",
            "acme",
            "smart_pricing",
            "--quantity",
            "37",
            "--key",
            "k",
            "--worker",
            "w",
            "--metadata",
            r#"{"a":1}"#,
        ]);
        assert_eq!(
            (&charge["amount"], &charge["worker"], &charge["metadata"]),
            (&json!(37_000), &json!("w"), &json!({"a": 1}))
        );
        let id = charge["id"].as_str().expect("the answer has an id");
        let pending = target.json(&[
            "charge",
            "create",
            "acme",
            "virtual_try_on",
            "--await-outcome",
            "--timeout-seconds",
            "60",
        ]);
        let pending = pending["id"].as_str().expect("the answer has an id");
        let beat = target.json(&["charge", "heartbeat", "acme", pending, "--extend-seconds", "600"]);
        assert_eq!(beat["status"], "pending");
        let failed = target.json(&[
            "charge", "outcome", "acme", pending, "failed", "--fault", "system", "--detail", "no GPU",
        ]);
        assert_eq!(failed["status"], "refunded");
        target.json(&["charge", "refund", "acme", id, "--amount", "7000", "--reason", "seven were wrong"]);
        assert_eq!(target.json(&["balance", "acme"])["available"], 120_000);
        assert_eq!(target.json(&["balance", "acme", "--at", "2001-01-01T00:00:00Z"])["available"], 0);
        let refunded = target.json(&["charge", "list", "acme", "--status", "refunded"]);
        assert_eq!(
            (refunded["data"].as_array().map(Vec::len), &refunded["data"][0]["id"]),
            (Some(1), &json!(pending))
        );
        let quote = target.json(&["charge", "quote", "acme", "smart_pricing", "--quantity", "121"]);
        assert_eq!((&quote["affordable"], &quote["affordable_quantity"]), (&json!(false), &json!(120)));
        let grant = target.json(&["grant", "list", "acme"])["data"][0]["id"]
            .as_str()
            .expect("the answer has an id")
            .to_owned();
        target.json(&["grant", "void", "acme", &grant, "--reason", "the end"]);
        let kinds: Vec<Value> = target.json(&["entries", "acme"])["data"]
            .as_array()
            .expect("the answer is a list")
            .iter()
            .map(|entry| entry["kind"].clone())
            .collect();
        assert_eq!((kinds.len(), &kinds[0]), (8, &json!("grant.voided")));
        target.json(&["workspace", "update", "acme", "--suspend"]);
        assert_eq!(target.json(&["workspace", "show", "acme"])["suspended"], true);
        assert_eq!(target.json(&["workspace", "list"])["data"].as_array().map(Vec::len), Some(1));
    });
}

#[test]
fn text_has_both_units_in_aligned_lines() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        target.text(&["grant", "create", "acme", "--amount", "1234567", "--reason", "welcome"]);
        let balance = target.text(&["balance", "acme"]);
        let (lines, as_of) = balance.trim_end().rsplit_once('\n').expect("the output has lines");
        assert_eq!(
            lines,
            "workspace  acme\navailable  1,234,567 (12.34567 USD)\npending    0 (0.00 USD)\ndebt       0 (0.00 USD)"
        );
        assert!(as_of.starts_with("as_of      20"), "{as_of}");
        let charge = target.text(&["charge", "create", "acme", "virtual_try_on"]);
        assert!(charge.contains("\namount             20,000 (0.20 USD)\n"), "{charge}");
        assert!(charge.contains("\nbalance.available  1,214,567 (12.14567 USD)\n"), "{charge}");
        let id =
            charge.split_whitespace().find(|word| word.starts_with("ch_")).expect("the answer has an id");
        let shown = target.text(&["charge", "show", "acme", id]);
        assert!(shown.contains("\ndraws\nGRANT"), "{shown}");
        let awaited =
            target.json(&["charge", "create", "acme", "virtual_try_on", "--await-outcome", "--key", "w"]);
        let awaited = awaited["id"].as_str().expect("the answer has an id");
        target.text(&["charge", "outcome", "acme", awaited, "failed", "--fault", "system"]);
        let back = target.text(&["charge", "show", "acme", awaited]);
        let row = back.lines().last().expect("a refund");
        assert!(row.contains("  gr_") && row.contains("  20,000 (0.20 USD)  failed_system"), "{back}");
        let list = target.text(&["charge", "list", "acme"]);
        assert_eq!(list.lines().count(), 3);
        assert!(list.starts_with("ID ") && list.contains("  20,000 (0.20 USD)  settled"), "{list}");
        let prices = target.text(&["prices", "show"]);
        assert!(prices.contains("\nsupport_message ") && prices.contains("  500 (0.005 USD)  -"), "{prices}");
        let entries = target.text(&["entries", "acme"]);
        assert!(entries.contains("charge.opened") && entries.contains("20,000 (0.20 USD)"), "{entries}");
    });
}

#[test]
fn a_refusal_exits_1_with_its_cause_and_a_hint() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        let stderr = target.refused(&["charge", "create", "acme", "virtual_try_on", "--key", "k"], 1);
        assert!(stderr.starts_with("error: "), "{stderr}");
        assert!(
            stderr.contains("cause: insufficient_credits: ")
                && stderr.contains("shortfall 20,000 (0.20 USD)"),
            "{stderr}"
        );
        assert!(stderr.contains("hint: add credit"), "{stderr}");
        for (args, code) in [
            (&["balance", "nobody"][..], "workspace_not_found"),
            (&["workspace", "create", "acme", "--name", "again"], "workspace_exists"),
            (&["charge", "create", "acme", "teleport", "--key", "k"], "operation_not_found"),
            (&["charge", "show", "acme", "ch_1"], "charge_not_found"),
            (&["grant", "void", "acme", "gr_1", "--key", "k"], "grant_not_found"),
        ] {
            let stderr = target.refused(args, 1);
            assert!(stderr.contains(&format!("cause: {code}")), "{stderr}");
            assert!(stderr.contains("hint: ") || code == "workspace_exists", "{stderr}");
        }
        for args in [
            &["charge", "create", "acme", "virtual_try_on", "--quantity", "0", "--key", "k"][..],
            &["grant", "create", "acme", "--amount", "-5", "--reason", "r", "--key", "k"],
            &["grant", "create", "acme", "--usd", "1,5", "--reason", "r", "--key", "k"],
            &["charge", "list", "acme", "--limit", "0"],
            &["balance", "acme", "--at", "yesterday"],
        ] {
            let stderr = target.refused(args, 2);
            assert!(stderr.contains("cause: invalid_"), "{stderr}");
        }
        // With --json, the problem document goes to stdout.
        let output = target.run(&["balance", "nobody", "--json"]);
        let problem: Value = serde_json::from_slice(&output.stdout).expect("the output is JSON");
        assert_eq!((output.status.code(), &problem["code"]), (Some(1), &json!("workspace_not_found")));
    });
}

#[test]
fn a_random_key_is_printed_so_that_a_command_can_be_repeated() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        let output = target.run(&["grant", "create", "acme", "--usd", "1", "--reason", "r"]);
        let stderr = String::from_utf8(output.stderr).expect("the output is text");
        let key = stderr.split_whitespace().find(|word| word.starts_with("cli-")).expect("a key");
        let again = target.run(&["grant", "create", "acme", "--usd", "1", "--reason", "r", "--key", key]);
        assert_eq!(again.stdout, output.stdout);
        assert!(printed(&again).contains("replayed"), "{}", printed(&again));
        let other =
            target.refused(&["grant", "create", "acme", "--usd", "2", "--reason", "r", "--key", key], 1);
        assert!(other.contains("field amount"), "{other}");
        assert_eq!(target.json(&["balance", "acme"])["available"], 100_000);
    });
}

#[test]
fn a_repeated_charge_says_what_became_of_it() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        target.text(&["grant", "create", "acme", "--usd", "1", "--reason", "r"]);
        let charge = ["charge", "create", "acme", "support_message", "--key", "run-17"];
        let first = target.json(&charge);
        let id = first["id"].as_str().expect("the answer has an id");
        target.text(&["charge", "refund", "acme", id, "--reason", "r"]);
        let again = target.run(&charge);
        assert!(printed(&again).contains("the charge is refunded now"), "{}", printed(&again));
        assert_eq!(target.json(&charge), first, "the answer stays the first one");
    });
}

#[test]
fn plans_are_shown_edited_and_set() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        let samples = target.text(&["plans", "show"]);
        assert!(samples.starts_with("version  0\n"), "{samples}");
        assert!(
            samples.contains("19.00") && samples.contains("  1,900,000 (19.00 USD)  month     true"),
            "{samples}"
        );
        let own = TempDir::new().expect("a temporary directory can be created");
        let file = own.path().join("plans.json");
        let edited = target.json(&["plans", "show"]).to_string().replace("\"19.00\"", "\"9.50\"");
        std::fs::write(&file, edited).expect("the file can be used");
        let file = file.to_str().expect("the path is UTF-8");
        let set = target.json(&["plans", "set", file]);
        assert_eq!((&set["version"], &set["plans"][2]["price_usd"]), (&json!(1), &json!("9.50")));
        assert_eq!(target.json(&["plans", "set", file])["version"], 1, "the same plans change nothing");
        assert_eq!(target.json(&["plans", "show"]), set);
        std::fs::write(file, r#"{"plans": [{"id": "a", "cost": 1}]}"#).expect("the file can be used");
        assert!(target.refused(&["plans", "set", file], 2).contains("cost"));
        std::fs::write(file, "{").expect("the file can be used");
        assert!(target.refused(&["plans", "set", file], 2).contains("hint: `tollkeeper plans set --help`"));
    });
}

#[test]
fn a_month_is_reported_as_text_json_and_csv() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        let grant = ["grant", "create", "acme", "--amount", "20000", "--reason", "hello"];
        target.text(&grant);
        target.text(&["charge", "create", "acme", "virtual_try_on"]);
        let report = target.json(&["report"]);
        assert_eq!(report["credit"][0]["consumed_free"], 20_000, "{report}");
        let month = report["month"].as_str().expect("it has a month");
        let text = target.text(&["report", "--month", month]);
        assert!(text.contains("SOURCE       PROVIDER") && text.contains("consumed         "), "{text}");
        let table = target.text(&["report", "--month", month, "--csv"]);
        assert!(table.contains(",trial_balance,available,,closing,0,micro-units\r\n"), "{table}");
        assert!(target.refused(&["report", "--month", "2999-01"], 2).contains("has not begun"));
    });
}

/// The beginning of an hour, as many hours from now.
fn hour(from_now: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    let hours = i64::try_from(now.as_secs() / 3_600).expect("it is not so late") + from_now;
    let at = jiff::Timestamp::from_second(hours * 3_600).expect("it is in range");
    at.to_string()
}

#[test]
fn prices_are_shown_edited_and_set() {
    everywhere(|target| {
        target.text(&["workspace", "create", "acme", "--name", "Acme"]);
        let own = TempDir::new().expect("a temporary directory can be created");
        let file = own.path().join("prices.json");
        let shown = target.json(&["prices", "show"]);
        let edited = shown.to_string().replace("20000", "25000");
        std::fs::write(&file, edited).expect("the file can be used");
        let file = file.to_str().expect("the path is UTF-8");
        let set = target.json(&["prices", "set", file]);
        assert_eq!(set["version"], 2);
        let price = |book: &Value| {
            let operations = book["operations"].as_array().expect("the answer has operations").clone();
            operations.iter().find(|line| line["id"] == "virtual_try_on").expect("it is there")["unit_price"]
                .clone()
        };
        assert_eq!(price(&target.json(&["prices", "show"])), 25_000);
        target.json(&["grant", "create", "acme", "--usd", "1", "--reason", "welcome"]);
        target.json(&["charge", "create", "acme", "virtual_try_on"]);
        std::fs::write(file, shown.to_string()).expect("the file can be used");
        let time = ["--from", &hour(-1), "--to", &hour(2)];
        let simulated = target.json(&[&["prices", "simulate", file], &time[..]].concat());
        assert_eq!(simulated["total"]["change"], -5_000, "the old price was lower");
        let text = target.text(&[&["prices", "simulate", file], &time[..]].concat());
        assert!(text.contains("-5,000 (-0.05 USD)") && text.contains("acme"), "{text}");
        assert_eq!(target.json(&["prices", "versions"])["data"].as_array().map(Vec::len), Some(2));
        let versions = target.json(&["prices", "versions"]);
        assert_eq!(versions["data"].as_array().map(Vec::len), Some(2));
        std::fs::write(file, r#"{"operations": [{"id": "a", "cost": 1}]}"#).expect("the file can be used");
        assert!(target.refused(&["prices", "set", file], 2).contains("cost"));
        std::fs::write(file, "{").expect("the file can be used");
        assert!(target.refused(&["prices", "set", file], 2).contains("hint: "));
    });
}

#[test]
fn workspaces_are_found_by_the_options_of_the_list() {
    everywhere(|target| {
        for (id, name) in [("acme", "Acme Fashion"), ("globex", "Globex")] {
            target.text(&["workspace", "create", id, "--name", name]);
        }
        target.text(&["workspace", "update", "globex", "--suspend"]);
        let found = |options: &[&str]| -> Vec<Value> {
            let list = target.json(&[&["workspace", "list"], options].concat());
            list["data"].as_array().expect("a list").iter().map(|row| row["id"].clone()).collect()
        };
        assert_eq!(found(&["--name", "fashion"]), ["acme"]);
        assert_eq!(found(&["--suspended"]), ["globex"]);
        assert_eq!(found(&["--suspended", "false", "--debt", "false"]), ["acme"]);
        assert!(found(&["--unused-since", "2001-01-01T00:00:00Z"]).is_empty());
        assert!(target.refused(&["workspace", "list", "--name", "&"], 2).contains("name"));
    });
}

#[test]
fn a_long_list_continues_at_its_cursor() {
    everywhere(|target| {
        for n in 0..3 {
            target.text(&["workspace", "create", &format!("w{n}"), "--name", "x"]);
        }
        let first = target.run(&["workspace", "list", "--limit", "2"]);
        let stderr = String::from_utf8_lossy(&first.stderr).into_owned();
        let cursor = stderr.trim_end().rsplit(' ').next().expect("a cursor").to_owned();
        assert!(stderr.contains("--cursor "), "{stderr}");
        let second = target.text(&["workspace", "list", "--limit", "2", "--cursor", &cursor]);
        let rows = |text: &str| text.lines().skip(1).count();
        assert_eq!((rows(&String::from_utf8_lossy(&first.stdout)), rows(&second)), (2, 1));
    });
}

#[test]
fn a_missing_directory_is_not_created_by_mistake() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("nothing");
    let target = Target::Directory(&data);
    for args in [&["balance", "acme"][..], &["charge", "create", "acme", "virtual_try_on", "--key", "k"]] {
        let stderr = target.refused(args, 3);
        assert!(stderr.contains("there is no data directory") && stderr.contains("--data"), "{stderr}");
    }
    assert!(!data.exists());
    // An empty directory does not get a ledger either.
    std::fs::create_dir(&data).expect("the directory can be created");
    let stderr = target.refused(&["member", "add", "acme", "ada", "--email", "a@b.c", "--name", "Ada"], 3);
    assert!(stderr.contains("there is no ledger in"), "{stderr}");
    assert_eq!(std::fs::read_dir(&data).expect("it is there").count(), 0);
}

#[test]
fn a_directory_created_by_a_command_gets_its_platform_key_from_the_first_server() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data");
    Target::Directory(&data).text(&["workspace", "create", "acme", "--name", "Acme"]);
    let mut command = tollkeeper();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let server = TestServer::spawned(command, &data);
    let stderr = server.stderr_text();
    let key = stderr.split_whitespace().find(|word| word.starts_with("tk_")).expect("a key is printed");
    crate::harness::TestClient::new(&server.url, key).get("/v1/workspaces/acme").expect(200);
}

#[test]
fn a_top_up_is_opened_listed_confirmed_and_shown() {
    everywhere(|target| {
        target.json(&["workspace", "create", "acme", "--name", "Acme"]);
        let open = ["top-up", "open", "acme", "--usd", "25.00", "--key", "k"];
        let opened = target.json(&open);
        let id = opened["id"].as_str().expect("the answer has an id");
        assert_eq!(
            (&opened["status"], &opened["payment"]["provider"]),
            (&json!("pending"), &json!("manual"))
        );
        assert_eq!(target.json(&open), opened, "the same key opens no second top-up");
        let shown = target.text(&["top-up", "show", "acme", id]);
        let start = format!("id                    {id}\nworkspace             acme\n")
            + "status                pending\ncredits               2,500,000 (25.00 USD)\n"
            + "amount_usd            25.00\npayment.provider      manual\npayment.instructions  Contact ";
        assert!(shown.starts_with(&start), "{shown}");
        assert_eq!(target.json(&["balance", "acme"])["available"], 0);

        let confirm = ["top-up", "confirm", "acme", id];
        let paid = target.json(&confirm);
        assert_eq!(paid["status"], "succeeded");
        let again = target.run(&confirm);
        assert_eq!(again.status.code(), Some(0), "{}", printed(&again));
        assert!(
            printed(&again).contains("replayed: this was done before; nothing moved"),
            "{}",
            printed(&again)
        );
        assert_eq!(target.json(&["top-up", "show", "acme", id]), paid);
        assert_eq!(target.json(&["balance", "acme"])["available"], 2_500_000);
        assert_eq!(target.json(&open), opened, "the first answer again, as it was");
        let list = target.text(&["top-up", "list", "acme"]);
        assert!(list.contains("succeeded  2,500,000 (25.00 USD)") && list.lines().count() == 2, "{list}");

        let unknown = ["top-up", "show", "acme", "tu_01991234-5678-7abc-bfff-0123456789ab"];
        assert!(target.refused(&unknown, 1).contains("hint: tollkeeper top-up list WORKSPACE"));
        for usd in ["0", "-1", "0.001", "1e3", "4.99", "10000.01"] {
            let refused = target.refused(&["top-up", "open", "acme", "--usd", usd], 2);
            assert!(refused.contains("amount_usd") && refused.contains("hint: "), "{usd}: {refused}");
        }
        let grant = paid["grant"].as_str().expect("the answer names the grant");
        let void = target.refused(&["grant", "void", "acme", grant], 1);
        assert!(
            void.contains("grant_was_paid") && void.contains("hint: its credit goes back with its money"),
            "{void}"
        );
    });
}

#[test]
fn a_plan_is_previewed_started_confirmed_and_canceled() {
    everywhere(|target| {
        target.json(&["workspace", "create", "acme", "--name", "Acme"]);
        let none = target.refused(&["subscription", "show", "acme"], 1);
        assert!(none.contains("hint: start one with tollkeeper subscription start"), "{none}");
        let preview = target.text(&["subscription", "preview", "acme", "starter"]);
        let start = "due_now_usd        19.00\ncredits_now        1,900,000 (19.00 USD)\n";
        assert!(preview.starts_with(start), "{preview}");
        let pending = target.json(&["subscription", "start", "acme", "starter"]);
        assert_eq!((&pending["status"], &pending["due_usd"]), (&json!("pending"), &json!("19.00")));
        let confirm = ["subscription", "confirm", "acme", "--key", "k"];
        let active = target.json(&confirm);
        assert_eq!((&active["status"], &active["due_usd"]), (&json!("active"), &json!("0.00")));
        assert_eq!(target.json(&confirm), active, "the same key pays no second period");
        let due = target.refused(&["subscription", "confirm", "acme"], 1);
        assert!(due.contains("nothing_due") && due.contains("hint: tollkeeper subscription show"), "{due}");
        assert_eq!(target.json(&["balance", "acme"])["available"], 1_900_000);
        let up = target.json(&["subscription", "start", "acme", "growth"]);
        assert_eq!(up["change"]["plan"], "growth");
        let paid = target.json(&["subscription", "confirm", "acme", "--change", "--key", "up"]);
        assert_eq!(paid["plan"], "growth");
        assert_eq!(target.json(&["subscription", "cancel", "acme"])["status"], "canceled");
        let shown = target.text(&["subscription", "show", "acme"]);
        assert!(shown.contains("status                canceled\n"), "{shown}");
        let unknown = target.refused(&["subscription", "start", "acme", "nothing"], 1);
        assert!(unknown.contains("hint: tollkeeper plans show"), "{unknown}");
    });
}

#[test]
fn automatic_top_ups_need_a_saved_card() {
    everywhere(|target| {
        target.json(&["workspace", "create", "acme", "--name", "Acme"]);
        let refused = target.refused(&["payment-method", "show", "acme"], 1);
        assert!(refused.contains("payment_method_not_found") && refused.contains("hint: "), "{refused}");
        let removed = target.text(&["payment-method", "remove", "acme"]);
        assert_eq!(removed, "no card of acme is saved\n");
        let refused = target.refused(&["auto-top-up", "show", "acme"], 1);
        assert!(refused.contains("hint: set them with tollkeeper auto-top-up set"), "{refused}");
        let set = ["auto-top-up", "set", "acme", "--below", "5", "--usd", "25", "--cap"];
        let refused = target.refused(&[&set[..], &["100"]].concat(), 1);
        assert!(refused.contains("hint: tollkeeper payment-method link"), "{refused}");
        for page in ["link", "portal"] {
            let refused = target.refused(&["payment-method", page, "acme"], 1);
            assert!(refused.contains("The payment provider `manual` has no pages"), "{refused}");
        }
        assert_eq!(target.json(&["top-up", "unmatched"])["data"], serde_json::json!([]));
        let stopped = target.text(&["auto-top-up", "stop", "acme"]);
        assert_eq!(stopped, "automatic top-ups of acme are stopped\n");
        assert_eq!(target.json(&["entries", "acme"])["data"].as_array().map(Vec::len), Some(1));
    });
}
