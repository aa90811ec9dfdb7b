//! The trace that a caller sends in the header `traceparent`, as W3C Trace Context defines it.

use axum::http::HeaderMap;

/// The span of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span of the caller in it.
    pub span_id: [u8; 8],
    /// True if the caller records the trace.
    pub is_recorded: bool,
}

impl Parent {
    /// The caller's span; `None` if the header is absent, given twice or malformed.
    pub fn of(headers: &HeaderMap) -> Option<Parent> {
        let mut values = headers.get_all("traceparent").iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        Parent::read(value.to_str().ok()?)
    }

    /// Reads `VERSION-TRACE-SPAN-FLAGS`. A later version may have more behind it.
    fn read(text: &str) -> Option<Parent> {
        let mut parts = text.split('-');
        let [version] = hex(parts.next()?)?;
        let parent = Parent {
            trace_id: hex(parts.next()?)?,
            span_id: hex(parts.next()?)?,
            is_recorded: hex::<1>(parts.next()?)?[0] & 1 == 1,
        };
        let has_more = parts.next().is_some();
        let is_valid = version != 0xff && (version > 0 || !has_more);
        let is_named = parent.trace_id != [0; 16] && parent.span_id != [0; 8];
        (is_valid && is_named).then_some(parent)
    }
}

/// Bytes in lower-case hexadecimal.
fn hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * BYTES || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_trace_context_says() {
        let parent = Parent::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let parent = parent.expect("the example of the standard");
        assert_eq!((parent.trace_id[..2].to_vec(), parent.span_id[7]), (vec![0x0a, 0xf7], 0x31));
        assert!(parent.is_recorded);
        let not_recorded = Parent::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02");
        assert!(not_recorded.is_some_and(|parent| !parent.is_recorded));
        let later = Parent::read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else");
        assert_eq!(later, Some(parent));
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319ä-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_header_that_is_given_twice_names_no_parent() {
        let value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let value = axum::http::HeaderValue::from_static(value);
        let mut headers = HeaderMap::new();
        assert_eq!(Parent::of(&headers), None);
        headers.append("traceparent", value.clone());
        assert!(Parent::of(&headers).is_some());
        headers.append("traceparent", value);
        assert_eq!(Parent::of(&headers), None);
    }
}
