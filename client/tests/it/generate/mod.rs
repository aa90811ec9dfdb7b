//! The parts of the client that are printed from the server's OpenAPI document: types, routes,
//! codes.
//!
//! The test compares the files with what the document of the running server gives. If the variable
//! `TOLLKEEPER_WRITE_DOCS` is set, it writes them instead. A route of the server that the client
//! does not call is a constant without a use, which the lints refuse.

mod codes;
mod document;
mod routes;
mod types;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use document::Document;

use crate::server::Server;

/// Files by their path below the crate's `src`.
type Files = BTreeMap<String, String>;

fn files(document: &Document) -> Files {
    let mut files = types::files(document);
    files.insert("http/routes.rs".to_owned(), routes::file(document));
    files.insert("code.rs".to_owned(), codes::file(document));
    files
}

/// The names of the files in the folder of types.
fn types_on_disk(source: &Path) -> Vec<String> {
    let entries = fs::read_dir(source.join("types")).into_iter().flatten().flatten();
    let names = entries.map(|entry| format!("types/{}", entry.file_name().to_string_lossy()));
    names.collect()
}

#[tokio::test]
async fn generated_files_fit_the_server() {
    let server = Server::start().await;
    let text = server.get_text("/openapi.json").await;
    let document = Document::new(serde_json::from_str(&text).expect("the document is JSON"));
    let files = files(&document);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let left_over: Vec<String> =
        types_on_disk(&source).into_iter().filter(|name| !files.contains_key(name)).collect();
    if std::env::var_os("TOLLKEEPER_WRITE_DOCS").is_some() {
        fs::create_dir_all(source.join("types")).expect("the folder can be created");
        for name in &left_over {
            fs::remove_file(source.join(name)).expect("the file can be removed");
        }
        for (name, text) in &files {
            fs::write(source.join(name), text).expect("the file can be written");
        }
        return;
    }
    assert_eq!(left_over, Vec::<String>::new(), "files of types that the document does not give");
    for (name, text) in &files {
        let found = fs::read_to_string(source.join(name)).unwrap_or_default();
        let line = found.lines().zip(text.lines()).position(|(found, wanted)| found != wanted);
        assert!(
            found == *text,
            "src/{name} does not fit the OpenAPI document (line {:?}). Print it again with \
             TOLLKEEPER_WRITE_DOCS=1 cargo test -p tollkeeper-client generated_files",
            line.map(|line| line + 1)
        );
    }
}
