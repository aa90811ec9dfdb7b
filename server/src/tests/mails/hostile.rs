//! Names of customers that try to become headers, markup or another text.

use super::*;
use crate::notify::mail::about::About;
use crate::notify::mail::letter::one_line;

const NAMES: [&str; 7] = [
    "Acme\r\nBcc: eve@example.com",
    "Acme\n\n<script>alert(1)</script>",
    "\u{202e}moc.live\u{202c} <b>bold</b> & \"quoted\" 'x'",
    "=?utf-8?q?Bcc=3A_eve?=",
    "Ünïcödé 株式会社 🧵",
    "\u{0}\u{7}\u{2028}",
    "{{ page.why }} {% include \"x\" %}",
];

#[test]
fn a_name_cannot_become_a_header_or_markup() {
    for name in NAMES.map(str::to_owned).into_iter().chain(["long ".repeat(500), "x".repeat(3_000)]) {
        for Sample { name: sample, about, mut context } in all() {
            if let Some(workspace) = &mut context.workspace {
                workspace.name = name.clone();
            }
            let about = match about {
                About::SubscriptionEnded { .. } => About::SubscriptionEnded { plan: name.clone() },
                About::Refused { required, available, refusals, .. } => {
                    About::Refused { operation: name.clone(), required, available, refusals }
                }
                about => about,
            };
            let mail = compose(&about, &context);
            assert!(!mail.subject.contains(char::is_control), "{sample}: {:?}", mail.subject);
            let parts = ["<script", "<b>", "\u{202e}", "\u{0}"];
            for part in parts {
                assert!(!mail.html.contains(part), "{sample}: {part:?} of {name:?} is in the page");
                assert!(!mail.text.contains("\u{202e}") && !mail.subject.contains("\u{202e}"), "{sample}");
            }
        }
    }
}

#[test]
fn a_text_on_one_line_keeps_its_words() {
    for (text, line) in [
        ("a\r\nb", "a b"),
        ("  a \t b  ", "a b"),
        ("\u{202e}abc\u{2069}", "abc"),
        ("株式会社", "株式会社"),
        ("\u{0}", ""),
    ] {
        assert_eq!(one_line(text), line);
    }
}
