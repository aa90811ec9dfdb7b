//! The address of a mailbox, with or without the name of its owner.

use std::fmt;

use lettre::message::Mailbox;

/// The address of a mailbox: `ada@example.com` or `Acme Billing <billing@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(Mailbox);

impl MailAddress {
    /// Reads an address; `None` if it is none.
    #[must_use]
    pub fn new(text: &str) -> Option<MailAddress> {
        // A control character could begin another header.
        let is_printable = !text.chars().any(char::is_control);
        text.parse().ok().filter(|_| is_printable).map(MailAddress)
    }

    /// The part behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }

    /// The address with its name, as a header has it.
    pub(super) fn mailbox(&self) -> Mailbox {
        self.0.clone()
    }

    /// The address without its name.
    pub(super) fn bare(&self) -> lettre::Address {
        self.0.email.clone()
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::MailAddress;

    #[test]
    fn an_address_has_an_optional_name_and_no_second_line() {
        for (text, domain) in [
            ("ada@example.com", "example.com"),
            ("Acme Billing <billing@mail.example.com>", "mail.example.com"),
            ("\"Ada, the Countess\" <ada@example.com>", "example.com"),
            ("Müller <mueller@bücher.example>", "bücher.example"),
        ] {
            let address = MailAddress::new(text).unwrap_or_else(|| panic!("{text} is an address"));
            assert_eq!(address.domain(), domain);
        }
        for wrong in ["", "ada", "ada@", "@example.com", "ada@example.com\r\nBcc: eve@x.de", "a b@x.de", "<>"]
        {
            assert_eq!(MailAddress::new(wrong), None, "{wrong:?}");
        }
    }
}
