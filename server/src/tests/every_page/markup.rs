//! Reads a page as a browser does, tag by tag, and says what no page may have: style or script of
//! its own, and files of another host.

/// A start tag with its attributes.
#[derive(Debug)]
pub(super) struct Tag<'p> {
    pub(super) name: &'p str,
    pub(super) attributes: Vec<(&'p str, &'p str)>,
    /// What is between it and the next tag.
    pub(super) text: &'p str,
}

impl<'p> Tag<'p> {
    pub(super) fn value(&self, name: &str) -> Option<&'p str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// The attributes with an address that a browser follows by itself, or sends a form to.
const LOADED: [&str; 9] =
    ["src", "srcset", "action", "formaction", "poster", "data", "background", "ping", "manifest"];

/// Elements that run, style or load something else.
const FORBIDDEN: [&str; 8] =
    ["style", "iframe", "object", "embed", "base", "frame", "applet", "foreignObject"];

/// The text without what is no part of a name.
fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_whitespace() || "/>=".contains(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// The attributes of a tag, and the text behind it.
fn attributes(mut rest: &str) -> (Vec<(&str, &str)>, &str) {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        let (name, after) = split_name(rest);
        assert!(!name.is_empty(), "a tag does not end: {rest:.80}");
        let after = after.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            found.push((name, ""));
            rest = after;
            continue;
        };
        let quote = value.chars().next().filter(|c| "\"'".contains(*c));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).expect("a quoted value ends"),
            None => value.split_at(value.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(0)),
        };
        found.push((name, value));
        rest = after;
    }
}

/// The start tags of a page.
pub(super) fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        if after.starts_with('!') || after.starts_with('/') {
            rest = after;
            continue;
        }
        let (name, after) = split_name(after);
        assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()), "a bare < is in the page: {after:.80}");
        let (attributes, behind) = attributes(after);
        let text = behind.split('<').next().unwrap_or_default();
        tags.push(Tag { name, attributes, text });
        rest = behind;
    }
    tags
}

/// Whether an address is one of this server.
fn is_own(address: &str) -> bool {
    ["/portal", "/console", "/mail/"].iter().any(|start| address.starts_with(start))
}

/// Asserts that a page has no style and no script of its own, and loads from this server alone.
/// Links may lead to `others`.
#[track_caller]
pub(super) fn check(at: &str, page: &str, others: &[&str]) {
    assert!(page.starts_with("<!doctype html>"), "{at} is no page: {page:.80}");
    for tag in tags(page) {
        let Tag { name, attributes, text } = &tag;
        assert!(!FORBIDDEN.contains(name), "{at} has <{name}>");
        if *name == "script" {
            assert!(tag.value("src").is_some() && text.trim().is_empty(), "{at} has a script of its own");
        }
        for (attribute, value) in attributes {
            let of_event = attribute.to_ascii_lowercase().starts_with("on");
            assert!(
                !of_event && *attribute != "style" && *attribute != "srcdoc",
                "{at}: {attribute} of <{name}>"
            );
            let is_file = *name == "link" && *attribute == "href";
            if LOADED.contains(attribute) || is_file {
                assert!(is_own(value), "{at}: {attribute}={value} of <{name}>");
            } else if attribute.ends_with("href") {
                let is_here = is_own(value) || value.starts_with('#') || value.starts_with('?');
                assert!(is_here || others.contains(value), "{at}: <{name}> leads to {value}");
            }
        }
        if tag.value("http-equiv").is_some() {
            let (_, address) =
                tag.value("content").and_then(|text| text.split_once("url=")).expect("a refresh");
            assert!(is_own(address) || others.contains(&address), "{at} goes on to {address}");
        }
    }
}

#[test]
fn tags_are_read_as_by_a_browser() {
    let page =
        "<!doctype html><p class=\"a > b\" data-x='\"' hidden>x &#60;<img src=x onerror=alert(1)><br/></p>";
    let found = tags(page);
    let names: Vec<_> = found.iter().map(|tag| tag.name).collect();
    assert_eq!(names, ["p", "img", "br"]);
    assert_eq!(found[0].attributes, [("class", "a > b"), ("data-x", "\""), ("hidden", "")]);
    assert_eq!((found[0].text, found[1].value("onerror")), ("x &#60;", Some("alert(1)")));
}

#[test]
#[should_panic(expected = "onmouseover of <p>")]
fn an_attribute_that_slipped_in_is_found() {
    check("/", "<!doctype html><p title='' onmouseover='alert(1)'>", &[]);
}

#[test]
#[should_panic(expected = "has a script of its own")]
fn a_script_that_slipped_in_is_found() {
    check("/", "<!doctype html><p>\"><script>alert(1)</script>", &[]);
}

#[test]
#[should_panic(expected = "src=https://x.example/a of <img>")]
fn a_file_of_another_host_is_found() {
    check("/", "<!doctype html><img src=\"https://x.example/a\">", &["https://x.example/a"]);
}
