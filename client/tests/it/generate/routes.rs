//! Prints the routes of the server as constants.

use super::document::{Document, comment};

pub fn file(document: &Document) -> String {
    let mut text = "//! The routes of the server, as constants.\n//!\n//! Printed from the server's OpenAPI \
         document by a test; not to be edited. A constant without a\n//! use is a route that the client does not \
         call yet.\n\nuse hyper::Method;\n\nuse super::route::Route;\n"
        .to_owned();
    for operation in document.operations() {
        let is_keyed = !operation.parameters("header").is_empty();
        let name = operation.text("operationId").to_uppercase();
        let method = operation.method.to_uppercase();
        let make = if is_keyed { "keyed" } else { "plain" };
        let path = operation.path;
        text.push('\n');
        text.push_str(&comment("///", 0, &format!("{}.", operation.text("summary"))));
        let line = format!("pub const {name}: Route = Route::{make}(Method::{method}, \"{path}\");\n");
        let split = format!("pub const {name}: Route =\n    Route::{make}(Method::{method}, \"{path}\");\n");
        text.push_str(if line.trim_end().len() <= 110 { &line } else { &split });
    }
    text
}
