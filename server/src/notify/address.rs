//! Where a message may go: the form of an endpoint's address, and which IP addresses are dialed.
//!
//! An endpoint's address comes from outside, so it must not reach what only this machine can reach.
//! A name is resolved, and if any of its addresses is not allowed, nothing is sent. What was
//! checked is what is dialed, so a name that resolves differently a moment later gains nothing.
//! Link-local addresses, where clouds answer with credentials, are never allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::Uri;

use super::settings::WebhookSettings;

/// What an IP address is, as far as messages are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is reachable from everywhere.
    Global,
    /// It is of a private network or of this machine; a setting allows it.
    Private,
    /// It is never dialed.
    Refused,
}

/// What an IP address is.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

/// The registry of special IPv4 addresses (RFC 6890 and its successors).
fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Refused,
        _ => Reach::Global,
    }
}

/// The registry of special IPv6 addresses. Addresses that stand for one of IPv4 are what that one
/// is.
fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    let inner = |high: u16, low: u16| reach_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        // 6to4 carries the IPv4 address behind its prefix.
        [0x2002, high, low, ..] => inner(high, low),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Protocol assignments with Teredo and ORCHID, and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Refused,
        [0x2000..=0x3fff, ..] => Reach::Global,
        _ => Reach::Refused,
    }
}

/// The first of these addresses that may not be dialed.
pub fn first_refused(addresses: &[IpAddr], settings: &WebhookSettings) -> Option<IpAddr> {
    let is_refused = |address: &&IpAddr| match reach(**address) {
        Reach::Global => false,
        Reach::Private => !settings.allow_private,
        Reach::Refused => true,
    };
    addresses.iter().find(is_refused).copied()
}

/// The host and the port of an address that has the allowed form.
///
/// # Errors
/// What is wrong with it, to follow its name in a sentence.
pub fn host_and_port(url: &str, settings: &WebhookSettings) -> Result<(String, u16), &'static str> {
    let uri: Uri = url.parse().map_err(|_| "must be the address of a web server")?;
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") if settings.allow_http => 80,
        _ => return Err("must begin with https://"),
    };
    let authority = uri.authority().ok_or("must name a host")?;
    if authority.as_str().contains('@') || url.contains('#') {
        return Err("must have no user and no fragment");
    }
    let port = uri.port_u16().unwrap_or(default_port);
    if authority.host().is_empty() || (uri.port().is_none() && authority.as_str() != authority.host()) {
        return Err("must name a host, and after a colon a port");
    }
    if !settings.allows_port(port) {
        return Err("has a port that is not allowed; the setting `webhooks_ports` lists further ones");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if let Ok(address) = host.parse::<IpAddr>()
        && first_refused(&[address], settings).is_some()
    {
        return Err("is in a network to which no message is sent");
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that are dialed, also those beside the special ranges.
    const GLOBAL: &str = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
        128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 \
        192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 \
        2606:4700::1111 2001:200::1 2a00::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 \
        2002:0808:0808::1";

    /// Addresses that are dialed if a setting allows it.
    const PRIVATE: &str = "10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 \
        172.16.0.0 172.31.255.255 192.168.0.1 ::1 fc00::1 fdff::1 ::ffff:127.0.0.1 \
        ::ffff:10.0.0.1 64:ff9b::10.0.0.1 2002:7f00:1::1";

    /// Addresses that are never dialed.
    const REFUSED: &str = "0.0.0.0 0.1.2.3 169.254.169.254 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 \
        198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 \
        240.0.0.1 255.255.255.255 :: ::2 ::8.8.8.8 fe80::1 febf::1 fec0::1 ff02::1 100::1 \
        64:ff9b:1::1 2001::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 5f00::1 \
        ::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1 4000::1";

    #[test]
    fn special_addresses_are_not_global() {
        for (expected, addresses) in
            [(Reach::Global, GLOBAL), (Reach::Private, PRIVATE), (Reach::Refused, REFUSED)]
        {
            for address in addresses.split_whitespace() {
                assert_eq!(reach(address.parse().expect("an address")), expected, "{address}");
            }
        }
    }

    #[test]
    fn one_address_that_is_refused_refuses_all() {
        let addresses: Vec<IpAddr> =
            ["8.8.8.8", "10.0.0.1"].map(|text| text.parse().expect("an address")).into();
        let mut settings = WebhookSettings::default();
        assert_eq!(first_refused(&addresses, &settings), Some(addresses[1]));
        settings.allow_private = true;
        assert_eq!(first_refused(&addresses, &settings), None);
        let link_local = ["169.254.169.254".parse().expect("an address")];
        assert_eq!(first_refused(&link_local, &settings), Some(link_local[0]), "never");
    }

    #[test]
    fn an_address_has_a_form() {
        let mut settings = WebhookSettings { ports: vec![8443], ..WebhookSettings::default() };
        let check = |url: &str, settings: &WebhookSettings| host_and_port(url, settings);
        assert_eq!(check("https://a.example/x?y=1", &settings), Ok(("a.example".to_owned(), 443)));
        assert_eq!(check("https://a.example:8443", &settings), Ok(("a.example".to_owned(), 8443)));
        for wrong in [
            "a.example",
            "http://a.example/",
            "https://",
            "https:///x",
            "https://ada@a.example/",
            "https://ada:pw@a.example/",
            "https://a.example/#x",
            "https://a.example:22/",
            "https://a.example:/",
            "https://a.example:99999/",
            "ftp://a.example/",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
        ] {
            assert!(check(wrong, &settings).is_err(), "{wrong}");
        }
        settings.allow_http = true;
        settings.allow_private = true;
        assert_eq!(check("http://127.0.0.1/", &settings), Ok(("127.0.0.1".to_owned(), 80)));
        assert_eq!(check("http://[::1]:8443/", &settings), Ok(("::1".to_owned(), 8443)));
        assert!(check("http://169.254.169.254/", &settings).is_err());
    }
}
