//! Which folder of a crate may import which: a lower layer never imports a higher one.
//!
//! [`LAYERS`] lists the folders and files of each crate from the lowest layer to the highest. A
//! file may import its own layer and the layers before it. It may also import what an enclosing
//! folder defines in its `mod.rs`, because a folder and its files are one subject. Layers that
//! stand side by side and must not know each other are listed in [`APART`].
//!
//! The test reads every path that begins with `crate::` or `super::`, follows re-exports to the
//! module that defines the name, and leaves out the tests at the end of a file.

use std::collections::BTreeMap;
use std::path::Path;

use super::{complain, root, sources};

/// The layers of each crate, lowest first. Folders in one string import each other: their types are
/// parts of one record.
const LAYERS: [(&str, &[&str]); 8] = [
    (
        "ledger",
        &[
            "bounds text micros time hash",
            "id",
            "name",
            "account journal payments prices team",
            "decide",
            "tests",
        ],
    ),
    (
        "engine",
        &[
            "error clock",
            "report",
            "contract query delivery workspace_search usage_report calendar hash vital_thread follow watch",
            "reply",
            "closed_days",
            "answer request_queue restored rollups audit personal",
            "transfer",
            "embedded/test_commands",
            "embedded/storage",
            "embedded/core",
            "embedded/threads/checkpoint",
            "embedded/core_handle",
            "embedded/threads",
            "embedded/delivery/store",
            "embedded/scan",
            "embedded/delivery",
            "embedded/admin",
            "embedded",
            "postgres/database",
            "postgres/ids",
            "postgres/counters",
            "postgres/platform",
            "postgres/clock postgres/long_reads postgres/repairs postgres/teams_seen",
            "postgres/delivery/connection postgres/shared",
            "postgres/batch",
            "postgres/repair",
            "postgres/closing",
            "postgres/query",
            "postgres/runtime",
            "postgres/delivery",
            "postgres/admin",
            "postgres",
        ],
    ),
    (
        "server",
        &[
            "wire tls language",
            "settings/value settings/store",
            "access/secret",
            "access/password",
            "theme access/settings http/settings jobs/settings observe/settings payments notify/settings notify/secret \
             notify/address notify/schedule notify/sender notify/envelope notify/webhooks notify/outlet notify/mail_link \
             notify/mail/address notify/mail/settings notify/mail/letter notify/mail/relay notify/mailer/state",
            "settings",
            "observe",
            "access",
            "app",
            "http",
            "payments/stripe/observe payments/stripe/customer payments/stripe/place payments/stripe/webhook \
             payments/stripe/after_error payments/stripe/charge_card payments/stripe/send_back \
             payments/stripe/receipts payments/stripe/subscribe",
            "reports",
            "notify/mail notify/mailer",
            "actions",
            "api",
            "notify",
            "dashboard",
            "jobs",
            "startup",
            "tests",
        ],
    ),
    (
        "gate",
        &[
            "settings outcome headers shutdown",
            "charging",
            "refusal relay",
            "quantity",
            "proxy exchange remote",
            "serve",
            "tests",
        ],
    ),
    (
        "cli",
        &["terminal", "server_process", "gate_process", "transport", "commands", "bench", "demo", "args"],
    ),
    ("client", &["code error types webhook", "http", "api", "client", "run"]),
    (
        "sim",
        &["random", "disk", "model", "workload", "differential", "contract", "engines", "faults", "formats"],
    ),
    (
        "testkit",
        &["blocking", "note", "random", "retry", "scratch", "cuttable_proxy", "postgres", "smtp", "stripe"],
    ),
];

/// Layers that must not import each other, in either direction.
const APART: [(&str, &str, &str); 2] = [("engine", "embedded", "postgres"), ("server", "api", "dashboard")];

/// A module of a crate: its path below `src`, without `mod.rs` and `.rs`.
type Module = Vec<String>;

/// The modules of a crate with the text of each, without comments and tests.
struct Crate {
    modules: BTreeMap<Module, String>,
    /// For each module, the names that it imports or re-exports, with the path of each.
    imports: BTreeMap<Module, Vec<(String, Module)>>,
}

impl Crate {
    fn read(name: &str) -> Crate {
        let prefix = format!("{name}/src/");
        let files = sources(".rs").into_iter();
        let files = files.filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?.to_owned(), text)));
        let modules: BTreeMap<Module, String> =
            files.map(|(path, text)| (module_of(&path), code_of(&text))).collect();
        let mut imports = BTreeMap::new();
        for (module, text) in &modules {
            let used =
                text.split(';').filter_map(|statement| statement.split_once("use ")).map(|(_, path)| path);
            let names = used.flat_map(|path| expand(path.trim())).filter_map(|path| {
                let target = absolute(module, &path, &modules)?;
                Some((path.last()?.clone(), target))
            });
            imports.insert(module.clone(), names.collect());
        }
        Crate { modules, imports }
    }

    /// The module that defines what `path` names: the longest prefix that is a module, after
    /// re-exports.
    fn definer(&self, path: &[String], depth: usize) -> Module {
        let known = |length: &usize| self.modules.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(known).unwrap_or_default();
        let module = path[..length].to_vec();
        let imported = path.get(length).and_then(|name| {
            let found = self.imports.get(&module)?.iter().find(|(imported, _)| imported == name);
            found.map(|(_, target)| target)
        });
        match imported {
            Some(target) if depth > 0 && *target != path => self.definer(target, depth - 1),
            _ => module,
        }
    }
}

fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").expect("only Rust files are read");
    let mut module: Module = path.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The text without comment lines and without the tests at its end.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The paths in `a::{b::C, d as e}`, one for each name; the name after `as` comes last.
fn expand(path: &str) -> Vec<Vec<String>> {
    let Some((before, group)) = path.split_once('{') else {
        let words: Vec<&str> = path.split_whitespace().collect();
        let end = words.first().map_or(0, |word| word.len());
        let mut parts: Vec<String> = path[..end].split("::").map(str::to_owned).collect();
        if parts.last().is_some_and(|last| last == "self") {
            parts.pop();
        }
        return vec![parts];
    };
    let mut paths = Vec::new();
    let (mut depth, mut start) = (0, 0);
    let group = group.rsplit_once('}').map_or(group, |(inside, _)| inside);
    let ends = group.char_indices().chain([(group.len(), ',')]);
    for (at, c) in ends {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let inner = group[start..at].trim();
                start = at + 1;
                if !inner.is_empty() {
                    paths.extend(expand(&format!("{}{inner}", before.trim())));
                }
            }
            _ => {}
        }
    }
    paths
}

/// A path from the root of the crate, for a path that is written in `module`.
fn absolute(module: &Module, path: &[String], modules: &BTreeMap<Module, String>) -> Option<Module> {
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" | "self" => {
            let mut base = module.clone();
            let mut rest = path;
            while let Some((first, others)) = rest.split_first() {
                match first.as_str() {
                    "super" => drop(base.pop()),
                    "self" => {}
                    _ => break,
                }
                rest = others;
            }
            base.extend(rest.iter().cloned());
            Some(base)
        }
        // A child of this module; everything else is another crate.
        child => {
            let mut inside = module.clone();
            inside.push(child.to_owned());
            modules.contains_key(&inside).then(|| [module.as_slice(), path].concat())
        }
    }
}

/// The paths in the code that begin with `crate::` or `super::`.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        if before.is_ascii_alphanumeric() || before == '_' || text[..at].ends_with("super::") {
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))).unwrap_or(rest.len());
        if rest[end..].starts_with('{') && rest[..end].ends_with("::") {
            let close = matching_brace(&rest[end..]);
            paths.extend(expand(&rest[..end + close]));
        } else {
            paths.extend(expand(rest[..end].trim_end_matches(':')));
        }
    }
    paths
}

/// The length of a text up to the brace that closes its first one.
fn matching_brace(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The layer of a module, and the folder that puts it there: the longest name in the table.
fn layer<'a>(layers: &[&'a str], module: &Module) -> Option<(usize, &'a str)> {
    let path = module.join("/");
    let names =
        layers.iter().enumerate().flat_map(|(at, names)| names.split(' ').map(move |name| (at, name)));
    let inside = |name: &str| path == name || path.starts_with(&format!("{name}/"));
    names.filter(|(_, name)| inside(name)).max_by_key(|(_, name)| name.len())
}

fn is_apart(name: &str, from: &Module, to: &Module) -> bool {
    let begins = |module: &Module, folder: &str| module.first().is_some_and(|first| first == folder);
    APART.iter().any(|(crate_name, one, other)| {
        *crate_name == name
            && (begins(from, one) && begins(to, other) || begins(from, other) && begins(to, one))
    })
}

#[test]
fn a_lower_folder_imports_no_higher_one() {
    let mut complaints = Vec::new();
    for (name, layers) in LAYERS {
        let source = Crate::read(name);
        for (module, text) in source.modules.iter().filter(|(module, _)| !module.is_empty()) {
            let file = format!("{name}: {}", module.join("/"));
            let Some((from, folder)) = layer(layers, module) else {
                complaints.push(format!("{file} is in no layer of the table"));
                continue;
            };
            for path in paths_in(text).iter().filter_map(|path| absolute(module, path, &source.modules)) {
                let target = source.definer(&path, 5);
                let is_parent = module.starts_with(&target);
                let Some((to, other)) = layer(layers, &target) else { continue };
                if is_apart(name, module, &target) || (to > from && !is_parent) {
                    let path = path.join("::");
                    complaints.push(format!("{file} ({folder}) imports {path} of the higher {other}"));
                }
            }
        }
    }
    complaints.sort();
    complaints.dedup();
    complain(complaints);
}

#[test]
fn the_layers_name_what_exists() {
    let mut complaints = Vec::new();
    for (name, layers) in LAYERS {
        let source = root().join(name).join("src");
        for layer in layers.iter().flat_map(|names| names.split(' ')) {
            let exists = |path: &Path| path.exists();
            if !exists(&source.join(layer)) && !exists(&source.join(format!("{layer}.rs"))) {
                complaints.push(format!("{name} has no {layer}"));
            }
        }
    }
    complain(complaints);
}

#[cfg(test)]
mod tests {
    use super::{expand, paths_in};

    fn written(paths: Vec<Vec<String>>) -> Vec<String> {
        paths.into_iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn groups_of_imports_are_taken_apart() {
        assert_eq!(
            written(expand("crate::a::{b::{C, d}, self, e as f}")),
            ["crate::a::b::C", "crate::a::b::d", "crate::a", "crate::a::e"]
        );
        let code = "use crate::{a::X, b};\nlet y = super::super::c::Y(my_crate::z);";
        assert_eq!(written(paths_in(code)), ["crate::a::X", "crate::b", "super::super::c::Y"]);
    }
}
