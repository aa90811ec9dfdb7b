//! Addresses with parameters, and the links between the pages of a list.
//!
//! A list is read from its newest row on, and the cursor of the next page follows from the page
//! before. So an address also has the cursors of the newer pages, the latest last. After
//! [`TRAIL_MAX`] pages the oldest of them is dropped, and the links to newer pages end with the
//! first page.

use crate::http::call::Call;
use crate::http::query::Query;

/// The query parameters of a list of several pages.
pub const CURSOR: &str = "cursor";
pub const TRAIL: &str = "trail";

/// The most cursors of newer pages that an address has.
const TRAIL_MAX: usize = 30;

/// What separates these cursors. No cursor contains it, and an address shows it as it is.
const SEPARATOR: char = '*';

/// An address in the dashboard. Parameters with an empty value are left out.
pub fn address<'p>(path: &str, parameters: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.into_iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The links to the pages beside the one that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageLinks {
    /// The page before, with newer rows.
    pub newer: Option<String>,
    /// The page after, with older rows.
    pub older: Option<String>,
}

impl PageLinks {
    /// The links beside the page that `query` asks for. `parameters` are those of the question;
    /// `next` is the cursor of the page after.
    pub fn of(path: &str, parameters: &[(&str, &str)], query: &Query, next: Option<&str>) -> PageLinks {
        let cursor = query.get(CURSOR).filter(|cursor| !cursor.is_empty());
        let trail = query.get(TRAIL).unwrap_or_default();
        let trail: Vec<&str> = trail.split(SEPARATOR).filter(|cursor| !cursor.is_empty()).collect();
        let link = |cursor: &str, trail: &[&str]| {
            let start = trail.len().saturating_sub(TRAIL_MAX);
            let trail = trail[start..].join(&SEPARATOR.to_string());
            address(path, parameters.iter().copied().chain([(CURSOR, cursor), (TRAIL, trail.as_str())]))
        };
        let newer = cursor.map(|_| match trail.split_last() {
            Some((cursor, before)) => link(cursor, before),
            None => link("", &[]),
        });
        let older = next.map(|next| {
            let trail: Vec<&str> = trail.iter().copied().chain(cursor).collect();
            link(next, &trail)
        });
        PageLinks { newer, older }
    }
}

/// The rows of a page of a list that is in memory.
const PAGE_ROWS: usize = 50;

/// The rows of the page that the parameter `page` names, and the links to its neighbours.
pub fn page_of<T>(rows: Vec<T>, call: &Call, path: &str) -> (Vec<T>, PageLinks) {
    let pages = rows.len().div_ceil(PAGE_ROWS).max(1);
    let asked = call.query().get("page").and_then(|text| text.parse().ok()).unwrap_or(1);
    let page: usize = asked.clamp(1, pages);
    let url = |page: usize| format!("{path}?page={page}");
    let links =
        PageLinks { newer: (page > 1).then(|| url(page - 1)), older: (page < pages).then(|| url(page + 1)) };
    (rows.into_iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS).collect(), links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(query: &str, next: Option<&str>) -> PageLinks {
        let uri = format!("/portal/charges?{query}").parse().expect("an address");
        let query = Query::read(&uri, &["status", CURSOR, TRAIL]).expect("known parameters");
        PageLinks::of("/portal/charges", &[("status", "settled"), ("worker", "")], &query, next)
    }

    #[test]
    fn an_address_has_its_parameters_escaped() {
        assert_eq!(address("/portal/usage", [("by", "")]), "/portal/usage");
        let hostile = address("/portal/usage", [("by", "worker"), ("worker", "a&b=\"<é>")]);
        assert_eq!(hostile, "/portal/usage?by=worker&worker=a%26b%3D%22%3C%C3%A9%3E");
    }

    #[test]
    fn a_list_is_left_by_the_way_that_led_into_it() {
        let first = links("status=settled", Some("90"));
        let path = "/portal/charges?status=settled";
        assert_eq!((first.newer, first.older), (None, Some(format!("{path}&cursor=90"))));
        let second = links("cursor=90", Some("40"));
        assert_eq!(second.newer, Some(path.to_owned()));
        assert_eq!(second.older, Some(format!("{path}&cursor=40&trail=90")));
        let last = links("cursor=7&trail=90*40", None);
        assert_eq!((last.newer, last.older), (Some(format!("{path}&cursor=40&trail=90")), None));
    }

    #[test]
    fn an_address_does_not_grow_without_bound() {
        let cursors: Vec<String> = (100..200).map(|cursor| cursor.to_string()).collect();
        let deep = links(&format!("cursor=9&trail={}", cursors.join("*")), Some("8"));
        let older = deep.older.expect("there is an older page");
        assert!(older.contains("trail=171*") && older.ends_with("*199*9") && older.len() < 200, "{older}");
    }
}
