//! The two forms of a mail: a page of HTML in one column, and the same content as plain text.
//!
//! Programs that show mails know little CSS, so every style is inline, and the layout is a table.
//! What only some of them know (dark colors, small screens) stands in one style element, and the
//! page is good without it. Nothing is loaded from anywhere. Plain text has lines of 72 columns.

use askama::Template;

use super::about::Severity;

/// The columns of a line of plain text. A word that is longer stands alone.
const COLUMNS: usize = 72;

/// A blank at which no line of HTML ends. Plain text has ordinary blanks.
const NO_BREAK: char = '\u{a0}';

/// The content of a mail.
#[derive(Debug)]
pub struct Page {
    /// What stands above the title: whom it is about.
    pub about: String,
    /// The title.
    pub title: String,
    /// Decides the color.
    pub severity: Severity,
    /// What happened.
    pub paragraphs: Vec<String>,
    /// Figures, each with its name.
    pub figures: Vec<(String, String)>,
    /// Who uses the most, each with its use of a day.
    pub top: Vec<(String, String)>,
    /// The one thing to do.
    pub button: Option<Link>,
    /// Why this mail came.
    pub why: String,
    /// What can be done about mails.
    pub links: Vec<Link>,
}

/// A link with its words.
#[derive(Debug)]
pub struct Link {
    /// The words.
    pub words: String,
    /// Where it leads.
    pub url: String,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    page: &'a Page,
    /// The color of the bar and of the button, in light and in dark.
    accent: [&'static str; 2],
}

#[derive(Template)]
#[template(path = "mail/letter.txt", escape = "none")]
struct Text<'a> {
    page: &'a Page,
}

impl Page {
    /// The page in HTML.
    pub fn html(&self) -> String {
        let accent = match self.severity {
            Severity::Info => ["#1f5fd0", "#8ab4ff"],
            Severity::Warning => ["#96570a", "#f0b765"],
            Severity::Critical => ["#b3261e", "#ff9d94"],
        };
        Html { page: self, accent }.render().expect("the templates are written to a String")
    }

    /// The page in plain text.
    pub fn text(&self) -> String {
        let text = Text { page: self }.render().expect("the templates are written to a String");
        text.replace(NO_BREAK, " ")
    }
}

/// A text in lines.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let room = |line: &String| line.chars().count() + 1 + word.chars().count() <= COLUMNS;
        match lines.last_mut().filter(|line| room(line)) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// A name and its figure in two columns.
fn row(name: &str, figure: &str) -> String {
    format!("{name:<24} {figure}")
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_end_before_the_column_and_long_words_stand_alone() {
        let text = "word ".repeat(40);
        let lines: Vec<usize> = wrapped(&text).lines().map(str::len).collect();
        assert_eq!(lines, [69, 69, 59]);
        let url = format!("see https://example.com/{} now", "x".repeat(80));
        assert_eq!(wrapped(&url).lines().count(), 3);
        assert_eq!(wrapped(""), "");
    }
}
