//! Texts of customers with markup, formulas and other scripts: on every page, after every form and
//! in every table they are what they are, texts.

use super::markup;
use super::*;

/// The texts, some for each way out: of an element, of an attribute, of a title, of a template, of
/// the direction of writing, of a cell. The empty one is a word of 255 characters.
const BASES: [&str; 14] = [
    "\"><script>alert(1)</script>",
    "' onmouseover='alert(1)' x='",
    "\" onfocus=\"alert(1)\" autofocus=\"",
    "<img src=x onerror=alert(1)>&amp;&lt;b&gt;&#60;",
    "</title></textarea></pre></script><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% include \"x\" %}${7}{0}",
    "\u{202e}gnp.exe\u{202c} שלום ",
    "",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1+1",
    "\r\n=1+1",
];

/// A text as it stands in a page.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        match c {
            '"' | '&' | '\'' | '<' | '>' => written.push_str(&format!("&#{};", u32::from(c))),
            c => written.push(c),
        }
    }
    written
}

impl Full {
    /// Asserts that a page has no text of the base as markup.
    #[track_caller]
    fn check(&self, at: &str, page: &str) {
        markup::check(at, page, &[&escaped(BACK)]);
        if escaped(self.texts.0) != self.texts.0 {
            assert!(!page.contains(self.texts.0), "{at} has a text as it is: {page}");
        }
        assert!(!page.contains(BACK) && !page.contains(EMAIL), "{at}");
    }

    /// What pages must show to an admin: an address and the texts there.
    fn expected(&self) -> Vec<(String, Vec<String>)> {
        let (name, text) = (|place| self.texts.name(place), |place| self.texts.text(place));
        let charge = |at: usize| format!("/portal/charges/{}", self.charges[at]);
        let change = |kind: &str, id: &str| format!("/portal/limits/change?kind={kind}&id={id}&period=day");
        vec![
            ("/portal".into(), vec![name("workspace"), name("ada"), name("bob"), name("brand"), BACK.into()]),
            ("/portal/usage?by=member".into(), vec![name("bob")]),
            ("/portal/usage?by=key".into(), vec![name("key")]),
            ("/portal/charges".into(), vec![name("bob")]),
            (charge(0), vec![text("reference"), name("bob"), name("key")]),
            (charge(1), vec![text("outcome")]),
            (charge(2), vec![text("refund")]),
            ("/portal/alerts".into(), vec![name("ada"), EMAIL.into()]),
            ("/portal/limits".into(), vec![name("key"), name("bob")]),
            (change("member", "bob"), vec![name("bob")]),
            (change("api_key", &self.key), vec![name("key")]),
            ("/portal/team".into(), vec![name("ada"), name("bob")]),
            ("/portal/api-keys".into(), vec![name("key"), name("bob")]),
            ("/portal/activity".into(), vec![text("grant"), text("voided"), text("refund"), name("ada")]),
            ("/portal/credits".into(), vec![text("grant")]),
            ("/portal/plan".into(), vec![self.texts.plan_name()]),
        ]
    }
}

#[tokio::test]
async fn texts_of_customers_are_texts_on_every_page() {
    for base in BASES {
        let full = full(base).await;
        let mut pages = 0;
        for route in routes("GET") {
            let mut addresses = full.addresses(route.path);
            let typed = encoded(&full.texts.text("typed"));
            addresses.extend(route.parameters.iter().map(|name| format!("{}?{name}={typed}", route.path)));
            for parameter in route.path_parameters() {
                addresses.push(route.path.replace(&format!("{{{parameter}}}"), &typed));
            }
            for path in addresses {
                for (session, language) in [(&full.ada, "en"), (&full.ada, "de"), (&full.bob, "en")] {
                    let reply = full.ask_as(session, language, &path).await;
                    assert!(reply.status < 500, "{path}: {}", reply.text);
                    if is_page(&reply) {
                        full.check(&path, &reply.text);
                        pages += 1;
                    } else {
                        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
                    }
                }
            }
        }
        assert!(pages > 150, "{pages} pages");
        for (path, texts) in full.expected() {
            let page = full.ask_as(&full.ada, "en", &path).await.text;
            for text in texts {
                assert!(page.contains(&escaped(&text)), "{base:?}: {path} does not show {text:?}: {page}");
            }
        }
    }
}

#[tokio::test]
async fn texts_that_are_typed_are_texts_on_the_page_that_follows() {
    for base in BASES {
        let full = full(base).await;
        let mut pages = 0;
        for route in forms() {
            for fields in full.fields(route.path) {
                for session in [&full.bob, &full.ada] {
                    let reply = full.send(session, route.path, &fields).await;
                    let at = format!("{} {fields:?}", route.path);
                    assert!(reply.status < 500, "{at}: {}", reply.text);
                    if is_page(&reply) {
                        full.check(&at, &reply.text);
                        pages += 1;
                    }
                }
            }
        }
        assert!(pages > 30, "{pages} pages");
    }
}

#[tokio::test]
async fn a_page_that_asks_once_more_names_what_it_is_about() {
    let full = full(BASES[0]).await;
    let asked = [
        ("/portal/team/role", vec![("member", "bob"), ("role", "admin")], full.texts.name("bob")),
        ("/portal/api-keys/revoke", vec![("key", full.key.as_str())], full.texts.name("key")),
        ("/portal/plan/cancel", vec![], full.texts.plan_name()),
    ];
    for (path, fields, text) in asked {
        let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let page = full.send(&full.ada, path, &fields).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.contains(&escaped(&text)), "{path}: {}", page.text);
    }
}

/// The cells of comma-separated values (RFC 4180).
fn cells(csv: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let (mut is_quoted, mut chars) = (false, csv.chars().peekable());
    while let Some(c) = chars.next() {
        let row = rows.last_mut().expect("there is a row");
        let cell = row.last_mut().expect("there is a cell");
        match (c, is_quoted) {
            ('"', true) if chars.peek() == Some(&'"') => cell.extend(chars.next()),
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => row.push(String::new()),
            ('\r', false) => assert_eq!(chars.peek(), Some(&'\n'), "a line ends with CR LF"),
            ('\n', false) => rows.push(vec![String::new()]),
            (c, _) => cell.push(c),
        }
    }
    assert!(!is_quoted, "a quoted cell ends");
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last line ends, too");
    rows
}

#[tokio::test]
async fn no_cell_of_a_table_is_a_formula() {
    let full = full(BASES[8]).await;
    let mut tables = Vec::new();
    for by in ["operation", "worker", "member", "key"] {
        let path = format!("/portal/usage.csv?by={by}");
        for session in [&full.ada, &full.bob] {
            tables.push((path.clone(), full.ask_as(session, "en", &path).await.text));
        }
    }
    let acme = "/v1/workspaces/acme";
    let keys = "group_by=operation,worker,member,api_key";
    for path in [
        format!("{acme}/usage?{keys}"),
        format!("{acme}/usage?{keys},day"),
        format!("{acme}/usage/changes?{keys}&from=2026-11-23&to=2026-11-24"),
        "/v1/report?month=2026-11".to_owned(),
    ] {
        tables.push((path.clone(), full.world.csv(&path).await));
    }
    let mut guarded = 0;
    for (path, csv) in tables {
        let rows = cells(&csv);
        let width = rows[0].len();
        assert!(rows.len() > 1, "{path}: {csv}");
        for row in &rows {
            assert_eq!(row.len(), width, "{path}: {row:?}");
            for cell in row {
                let is_number = cell.parse::<f64>().is_ok();
                let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
                assert!(!is_formula, "{path}: {cell:?} in {row:?}");
                guarded += usize::from(cell.starts_with("'@") || cell.starts_with("'-"));
            }
        }
    }
    assert!(guarded > 8, "{guarded} cells are guarded");
}

#[test]
fn cells_are_read_by_the_standard() {
    assert_eq!(cells("a,b\r\n\"x,\"\"y\"\"\r\n\",\r\n"), [vec!["a", "b"], vec!["x,\"y\"\r\n", ""]]);
}
