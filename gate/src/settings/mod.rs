//! The table `[gate]` of a settings file: where the gate listens, and its routes.
//!
//! Every value is checked when the file is read, so that a wrong one stops the start and not a
//! request. The other tables and keys of the file are those of the server and are not read here.
//! What a metered route needs is in `metering`.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use serde::Deserialize;

use crate::headers::{X_API_KEY, is_not_passed_on};

mod metering;

pub use metering::{INPUT, InputHold, Meter, Metering, OUTPUT, OnMissing, OutputHold, UNITS_MAX};

/// The longest time-out of a route, in seconds: an hour less than the longest deadline of a charge.
const TIMEOUT_MAX_SECONDS: u32 = 7 * 24 * 3_600 - 3_600;

const GRACE_MAX_SECONDS: u32 = 3_600;

const BODY_MAX_BYTES: usize = 1 << 20;

/// What a settings file is read for.
#[derive(Deserialize)]
struct File {
    gate: Option<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    listen: Option<String>,
    #[serde(default)]
    routes: Vec<RouteTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    method: String,
    path: String,
    operation: String,
    upstream: String,
    quantity: Option<QuantityValue>,
    timeout_seconds: Option<u32>,
    grace_seconds: Option<u32>,
    body_max_bytes: Option<usize>,
    dialect: Option<Dialect>,
    upstream_key_env: Option<String>,
    meters: Option<BTreeMap<String, Vec<String>>>,
    included_in: Option<BTreeMap<String, String>>,
    max_input: Option<i64>,
    input_constant: Option<i64>,
    max_output: Option<i64>,
    default_output: Option<i64>,
    output_member: Option<String>,
    refused_members: Option<Vec<String>>,
    fit: Option<bool>,
    fit_min: Option<i64>,
    on_missing: Option<OnMissing>,
    stream_usage: Option<bool>,
    mcp: Option<bool>,
    tools: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum QuantityValue {
    Constant(i64),
    Place(Place),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    header: Option<String>,
    json: Option<String>,
}

/// The settings of the gate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on, `HOST:PORT`.
    pub listen: String,
    /// What is charged; at least one route.
    pub routes: Vec<Route>,
}

/// Requests that are charged, and where they go.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method of the requests.
    pub method: Method,
    /// Their path, without a trailing `/*`.
    pub path: String,
    /// Whether all paths below `path` belong to the route.
    pub takes_rest: bool,
    /// The operation that is charged.
    pub operation: String,
    /// The address of the upstream. The path of the request is added to its own.
    pub upstream: Uri,
    /// How many units are charged.
    pub quantity: Quantity,
    /// The longest time from the charge to the end of the answer, in seconds.
    pub timeout_seconds: u32,
    /// How long the charge stays open beyond the time-out, in seconds.
    pub grace_seconds: u32,
    /// The largest body that the gate reads, in bytes: of a metered route, of a message to tools,
    /// or with a JSON pointer.
    pub body_max_bytes: usize,
    /// How the gate's own refusals are written.
    pub dialect: Dialect,
    /// The header with the key of the upstream, which replaces that of the client.
    pub upstream_key: Option<(HeaderName, HeaderValue)>,
}

/// How the number of units of a request is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The same for every request.
    Constant(i64),
    /// A header of the request.
    Header(HeaderName),
    /// A JSON pointer (RFC 6901) into the body of the request.
    Json(String),
    /// Units of meters: a bound is held, and what was used is settled.
    Metered(Arc<Metering>),
    /// One unit for each call of a tool (Model Context Protocol). Other messages are free.
    ToolCall(Arc<Tools>),
}

/// The operations of the tools of a route. Other tools are charged as the route's operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Operations by the name of a tool.
    pub operations: BTreeMap<String, String>,
}

/// How a refusal is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// The problem document of the API (RFC 9457).
    #[default]
    Problem,
    /// The error object of OpenAI's API.
    Openai,
    /// The error object of Anthropic's API.
    Anthropic,
}

/// What is wrong with the settings of the gate.
#[derive(Debug)]
pub struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads the table `[gate]` of a file; `None` if it has none.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or a value of the table is wrong.
    pub fn load(path: &Path) -> Result<Option<Settings>, SettingsError> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|why| SettingsError(format!("{name}: {why}")))?;
        Settings::parse(&text).map_err(|why| SettingsError(format!("{name}: {why}")))
    }

    /// Reads the table `[gate]` of a text; `None` if it has none.
    ///
    /// # Errors
    /// The text is no TOML, or a value of the table is wrong.
    pub fn parse(text: &str) -> Result<Option<Settings>, SettingsError> {
        let file: File = toml::from_str(text).map_err(|why| SettingsError(why.to_string()))?;
        let Some(Table { listen, routes }) = file.gate else { return Ok(None) };
        let listen = listen.ok_or_else(|| SettingsError("`gate.listen` is missing".to_owned()))?;
        if routes.is_empty() {
            return Err(SettingsError("the gate has no route; add one with `[[gate.routes]]`".to_owned()));
        }
        let routes = routes.into_iter().enumerate().map(|(index, route)| {
            Route::check(route)
                .map_err(|why| SettingsError(format!("route {} of the gate: {why}", index + 1)))
        });
        let routes = routes.collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        for route in &routes {
            if !seen.insert((&route.method, &route.path, route.takes_rest)) {
                let rest = if route.takes_rest { "/*" } else { "" };
                let why = format!("the gate has two routes for {} {}{rest}", route.method, route.path);
                return Err(SettingsError(why));
            }
        }
        Ok(Some(Settings { listen, routes }))
    }
}

impl Route {
    fn check(table: RouteTable) -> Result<Route, String> {
        let RouteTable { method, path, operation, upstream, .. } = &table;
        let method = Method::from_bytes(method.as_bytes())
            .ok()
            .filter(|method| {
                method.as_str().bytes().all(|byte| byte.is_ascii_uppercase()) && *method != Method::CONNECT
            })
            .ok_or_else(|| format!("`method` must be a method such as POST, not {method:?}"))?;
        let (path, takes_rest) = match path.strip_suffix("/*") {
            Some(begin) => (begin, true),
            None => (&**path, false),
        };
        let is_path = path.starts_with('/') || (path.is_empty() && takes_rest);
        if !is_path
            || path.contains(['?', '#', '*'])
            || (!path.is_empty() && path.parse::<PathAndQuery>().is_err())
        {
            return Err("`path` must begin with /, and may end with /*".to_owned());
        }
        if operation.is_empty() {
            return Err("`operation` must name an operation of the price book".to_owned());
        }
        let timeout_seconds = within("timeout_seconds", table.timeout_seconds, 60, 1..=TIMEOUT_MAX_SECONDS)?;
        let grace_seconds = within("grace_seconds", table.grace_seconds, 60, 1..=GRACE_MAX_SECONDS)?;
        let body_max_bytes =
            within("body_max_bytes", table.body_max_bytes, BODY_MAX_BYTES, 1..=64 * BODY_MAX_BYTES)?;
        let quantity = quantity(&table, &method)?;
        Ok(Route {
            method,
            path: path.to_owned(),
            takes_rest,
            operation: operation.clone(),
            upstream: upstream_of(upstream)?,
            quantity,
            timeout_seconds,
            grace_seconds,
            body_max_bytes,
            dialect: table.dialect.unwrap_or_default(),
            upstream_key: table
                .upstream_key_env
                .map(|name| upstream_key(&name, table.dialect.unwrap_or_default()))
                .transpose()?,
        })
    }

    /// Whether requests with this method and path belong to the route. A path that an upstream may
    /// read as another one belongs to none: it could run what another route charges more for.
    #[must_use]
    pub fn is_for(&self, method: &Method, path: &str) -> bool {
        let rest = path.strip_prefix(&*self.path);
        let is_path = rest.is_some_and(|rest| rest.is_empty() || (self.takes_rest && rest.starts_with('/')));
        let is_method = *method == self.method || self.is_of_stream(method);
        is_method && is_path && (self.takes_rest || path == self.path) && is_plain(path)
    }

    /// Whether the route passes on requests with this method for the stream of messages and the end
    /// of a session, which a server of the Model Context Protocol has beside its messages.
    fn is_of_stream(&self, method: &Method) -> bool {
        matches!(self.quantity, Quantity::ToolCall(_))
            && (*method == Method::GET || *method == Method::DELETE)
    }
}

/// How the units of a route are found: by one of three settings that exclude each other.
fn quantity(table: &RouteTable, method: &Method) -> Result<Quantity, String> {
    if let Some(metering) = Metering::check(table, table.dialect.unwrap_or_default())? {
        if table.mcp == Some(true) {
            return Err("a route with `mcp = true` has neither `quantity` nor `meters`".to_owned());
        }
        return Ok(Quantity::Metered(Arc::new(metering)));
    }
    match tools(table, method)? {
        Some(tools) => Ok(Quantity::ToolCall(Arc::new(tools))),
        None => table.quantity.as_ref().map_or(Ok(Quantity::Constant(1)), Quantity::check),
    }
}

/// The tools of a route of the Model Context Protocol; `None` if it is another route.
fn tools(table: &RouteTable, method: &Method) -> Result<Option<Tools>, String> {
    if table.mcp != Some(true) {
        return if table.tools.is_none() { Ok(None) } else { Err("`tools` needs `mcp = true`".to_owned()) };
    }
    if table.quantity.is_some() {
        return Err("a route with `mcp = true` has neither `quantity` nor `meters`".to_owned());
    }
    if *method != Method::POST {
        return Err("`method` must be POST with `mcp = true`; GET and DELETE pass beside it".to_owned());
    }
    let operations = table.tools.clone().unwrap_or_default();
    if operations.values().any(String::is_empty) {
        return Err("`tools` must name an operation of the price book for each tool".to_owned());
    }
    Ok(Some(Tools { operations }))
}

/// Whether a path has no other spelling: no dot segments, no empty ones before its end, no escape
/// of a character that needs none.
fn is_plain(path: &str) -> bool {
    let needs_escape = |byte: u8| {
        byte >= 0x20 && byte != 0x7f && !byte.is_ascii_alphanumeric() && !b"-._~/\\%".contains(&byte)
    };
    let is_needed = |rest: &str| {
        rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(needs_escape)
    };
    path.split('%').skip(1).all(is_needed)
        && !path.contains('\\')
        && !path.contains("//")
        && !path.split('/').any(|part| part == "." || part == "..")
}

impl Quantity {
    fn check(value: &QuantityValue) -> Result<Quantity, String> {
        const MUST: &str =
            "`quantity` must be a whole number of at least 1, { header = NAME } or { json = POINTER }";
        match value {
            QuantityValue::Constant(units) if *units >= 1 => Ok(Quantity::Constant(*units)),
            QuantityValue::Place(Place { header: Some(name), json: None }) => {
                let name: HeaderName = name.parse().map_err(|_| MUST.to_owned())?;
                if is_not_passed_on(&name) {
                    return Err(format!(
                        "`quantity` cannot be the header {name}: the upstream does not get it"
                    ));
                }
                Ok(Quantity::Header(name))
            }
            QuantityValue::Place(Place { header: None, json: Some(pointer) }) if pointer.starts_with('/') => {
                Ok(Quantity::Json(pointer.clone()))
            }
            _ => Err(MUST.to_owned()),
        }
    }
}

/// The header with the key of an upstream, which a variable of the environment has. Its value is
/// never shown.
fn upstream_key(variable: &str, dialect: Dialect) -> Result<(HeaderName, HeaderValue), String> {
    let key = std::env::var(variable).ok().filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| format!("`upstream_key_env` names {variable}, which is not set"))?;
    let (name, value) = match dialect {
        Dialect::Anthropic => (X_API_KEY, key),
        Dialect::Problem | Dialect::Openai => (AUTHORIZATION, format!("Bearer {key}")),
    };
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| format!("{variable} is no key: it has control characters"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn upstream_of(text: &str) -> Result<Uri, String> {
    let uri = text.parse::<Uri>().ok().filter(|uri| {
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        is_http && !has_user && uri.query().is_none()
    });
    uri.ok_or_else(|| {
        "`upstream` must be a URL that begins with http:// or https://, without a query".to_owned()
    })
}

fn within<T: PartialOrd + fmt::Display + Copy>(
    name: &str,
    value: Option<T>,
    default: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, String> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("`{name}` must be a whole number, {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "[gate]\nlisten = \"127.0.0.1:0\"\n[[gate.routes]]\nmethod = \"POST\"\npath = \"/v1/images/*\"\n\
        operation = \"virtual_try_on\"\nupstream = \"http://127.0.0.1:9000/models\"\n";

    fn parse(text: &str) -> Result<Option<Settings>, String> {
        Settings::parse(text).map_err(|why| why.to_string())
    }

    #[test]
    fn a_file_without_the_table_has_no_gate() {
        assert!(parse("listen = \"127.0.0.1:0\"").expect("it is TOML").is_none());
    }

    #[test]
    fn a_route_has_defaults() {
        let settings = parse(ROUTE).expect("it is right").expect("there is a gate");
        let [route] = &settings.routes[..] else { panic!("{settings:?}") };
        assert_eq!((route.timeout_seconds, route.grace_seconds), (60, 60));
        assert_eq!((&route.quantity, route.dialect), (&Quantity::Constant(1), Dialect::Problem));
        for path in ["/v1/images", "/v1/images/", "/v1/images/a/b"] {
            assert!(route.is_for(&Method::POST, path), "{path}");
            assert!(!route.is_for(&Method::GET, path), "{path}");
        }
        for path in ["/v1/image", "/v1/imagesx", "/v1", "/"] {
            assert!(!route.is_for(&Method::POST, path), "{path}");
        }
        for plain in
            ["/v1/images/a%20b", "/v1/images/%C3%A4", "/v1/images/a.b", "/v1/images/...", "/v1/images/a%3Fb"]
        {
            assert!(route.is_for(&Method::POST, plain), "{plain}");
        }
        for other in [
            "/v1/images/../dear",
            "/v1/images/./a",
            "/v1/images/..",
            "/v1/images//dear",
            "/v1/images/%2e%2e/dear",
            "/v1/images/%64ear",
            "/v1/images%2Fdear",
            "/v1/images/a%5C..%5Cdear",
            "/v1/images/..\\dear",
            "/v1/images/%252e",
            "/v1/images/%00",
            "/v1/images/%",
            "/v1/images/%zz",
        ] {
            assert!(!route.is_for(&Method::POST, other), "{other} may be read as another path");
        }
    }

    #[test]
    fn a_quantity_is_a_number_a_header_or_a_pointer() {
        let of = |text: &str| {
            let settings = parse(&format!("{ROUTE}quantity = {text}\n"))?.expect("there is a gate");
            Ok::<_, String>(settings.routes[0].quantity.clone())
        };
        assert_eq!(of("3"), Ok(Quantity::Constant(3)));
        assert_eq!(of("{ header = \"X-Count\" }"), Ok(Quantity::Header(HeaderName::from_static("x-count"))));
        assert_eq!(of("{ json = \"/items/count\" }"), Ok(Quantity::Json("/items/count".to_owned())));
        for wrong in
            ["0", "-1", "{ header = \"a b\" }", "{ json = \"items\" }", "{ header = \"a\", json = \"/b\" }"]
        {
            let why = of(wrong).expect_err(wrong);
            assert!(why.contains("`quantity` must be"), "{wrong}: {why}");
        }
        for hidden in ["Tollkeeper-Count", "TE", "Content-Length", "Host", "Authorization"] {
            let why = of(&format!("{{ header = \"{hidden}\" }}")).expect_err(hidden);
            assert!(why.contains("the upstream does not get it"), "{hidden}: {why}");
        }
    }

    #[test]
    fn a_route_of_tools_takes_its_stream_and_the_end_of_a_session() {
        let with = |more: &str| parse(&format!("{ROUTE}{more}\n"));
        let settings = with("mcp = true\ntools = { search = \"web_search\" }").expect("it is right");
        let [route] = &settings.expect("there is a gate").routes[..] else { panic!("one route") };
        let Quantity::ToolCall(tools) = &route.quantity else { panic!("{route:?}") };
        assert_eq!(tools.operations.get("search").map(String::as_str), Some("web_search"));
        for (method, is_for) in
            [("POST", true), ("GET", true), ("DELETE", true), ("PUT", false), ("HEAD", false)]
        {
            let method: Method = method.parse().expect("a method");
            assert_eq!(route.is_for(&method, "/v1/images"), is_for, "{method}");
        }
        let wrong = |more: &str, expected: &str| {
            let why = with(more).expect_err(more);
            assert!(why.contains(expected), "{more}: {why}");
        };
        wrong("tools = { a = \"b\" }", "`tools` needs `mcp = true`");
        wrong("mcp = true\nquantity = 2", "neither `quantity` nor `meters`");
        wrong("mcp = true\ntools = { a = \"\" }", "`tools` must name an operation");
        let get = ROUTE.replace("POST", "GET");
        let why = parse(&format!("{get}mcp = true\n")).expect_err("this must not start");
        assert!(why.contains("`method` must be POST"), "{why}");
    }

    #[test]
    fn the_key_of_an_upstream_comes_from_the_environment_and_is_not_shown() {
        // A variable that every environment of a test has.
        let of =
            |more: &str| parse(&format!("{ROUTE}{more}")).map(|settings| settings.expect("there is a gate"));
        let path = std::env::var("PATH").expect("cargo sets it");
        let settings = of("upstream_key_env = \"PATH\"\n").expect("it is right");
        assert!(!format!("{settings:?}").contains(&path), "{settings:?}");
        let (name, value) = settings.routes[0].upstream_key.clone().expect("it is set");
        assert_eq!((name, value.to_str().ok()), (AUTHORIZATION, Some(&*format!("Bearer {path}"))));
        let anthropic = of("dialect = \"anthropic\"\nupstream_key_env = \"PATH\"\n").expect("it is right");
        let (name, value) = anthropic.routes[0].upstream_key.clone().expect("it is set");
        assert_eq!((name, value.to_str().ok()), (X_API_KEY, Some(&*path)));
        let why = of("upstream_key_env = \"NO_SUCH_VARIABLE\"\n").expect_err("this must not start");
        assert!(why.contains("`upstream_key_env` names NO_SUCH_VARIABLE, which is not set"), "{why}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_route() {
        let check = |from: &str, to: &str, expected: &str| {
            let why = parse(&ROUTE.replace(from, to)).expect_err("this must not start");
            assert!(why.contains(expected), "{why}");
        };
        check("POST", "post", "route 1 of the gate: `method` must be");
        check("POST", "CONNECT", "`method` must be");
        check("/v1/images/*", "v1", "`path` must begin with /");
        check("/v1/images/*", "/v1/*/b", "`path` must begin with /");
        check("http://127.0.0.1:9000/models", "ftp://a", "`upstream` must be a URL");
        check("http://127.0.0.1:9000/models", "http://a/?b=1", "`upstream` must be a URL");
        check("http://127.0.0.1:9000/models", "http://user@a", "`upstream` must be a URL");
        check("virtual_try_on", "", "`operation` must name");
        check("operation", "operations", "unknown field `operations`");
        check("listen = \"127.0.0.1:0\"\n", "", "`gate.listen` is missing");
        let twice = format!("{ROUTE}{}", &ROUTE[ROUTE.find("[[").expect("it has a route")..]);
        let why = parse(&twice).expect_err("this must not start");
        assert!(why.contains("two routes for POST /v1/images/*"), "{why}");
        let long = parse(&format!("{ROUTE}timeout_seconds = 0\n")).expect_err("this must not start");
        assert!(long.contains("`timeout_seconds` must be a whole number, 1 to"), "{long}");
    }
}
