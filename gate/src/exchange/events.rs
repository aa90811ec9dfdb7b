//! Server-sent events, as they are cut out of a stream of bytes (WHATWG HTML, 9.2).
//!
//! Lines end with CR LF, LF or CR, also where a chunk is split. The lines of `data` of an event are
//! joined with LF. An event of more than [`EVENT_MAX_BYTES`] is not kept, only its end is found.

/// The most bytes of an event that is read.
pub const EVENT_MAX_BYTES: usize = 256 << 10;

/// What ended with an empty line.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// An event with this data.
    Data(Vec<u8>),
    /// An event that is too long to be read.
    TooLong,
    /// Comments, or fields without data.
    Empty,
}

/// The state between two chunks.
#[derive(Debug, Default)]
pub struct EventParser {
    line: Vec<u8>,
    /// The length of the line, also if it is not kept.
    line_bytes: usize,
    data: Vec<u8>,
    has_data: bool,
    /// The bytes of the event until now.
    event_bytes: usize,
    /// Whether the last byte was CR, so that LF belongs to the same end of a line.
    after_cr: bool,
    /// Whether a line was read, so that a byte order mark is none.
    is_begun: bool,
}

impl EventParser {
    /// Reads until an event ends or the bytes do; returns the bytes that were read, and what ended.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Option<Event>) {
        let mut read = usize::from(self.skip_line_feed(bytes));
        while let Some(at) = bytes[read..].iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            self.take(&bytes[read..read + at]);
            read += at + 1;
            if bytes[read - 1] == b'\r' {
                match bytes.get(read) {
                    Some(b'\n') => read += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if let Some(event) = self.end_line() {
                return (read, Some(event));
            }
        }
        self.take(&bytes[read..]);
        (bytes.len(), None)
    }

    /// Whether the bytes begin with the second half of the last end of a line.
    pub fn skip_line_feed(&mut self, bytes: &[u8]) -> bool {
        let Some(first) = bytes.first() else { return false };
        std::mem::take(&mut self.after_cr) && *first == b'\n'
    }

    /// The event that the end of the stream cut off, if its data is there.
    pub fn end(&mut self) -> Option<Event> {
        if self.line_bytes > 0 {
            self.end_line();
        }
        Some(self.end_event()).filter(|event| *event != Event::Empty)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.line_bytes += bytes.len();
        self.event_bytes += bytes.len();
        if self.is_too_long() {
            self.line = Vec::new();
            self.data = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn is_too_long(&self) -> bool {
        self.event_bytes > EVENT_MAX_BYTES
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.line_bytes) == 0 {
            return Some(self.end_event());
        }
        self.event_bytes += 1;
        if !std::mem::replace(&mut self.is_begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        let value = line.strip_prefix(b"data").filter(|_| !self.is_too_long())?;
        let value = match value {
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            [] => value,
            // Another field, whose name begins with the same letters.
            _ => return None,
        };
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        None
    }

    fn end_event(&mut self) -> Event {
        let is_too_long = self.is_too_long();
        self.event_bytes = 0;
        let data = std::mem::take(&mut self.data);
        match std::mem::take(&mut self.has_data) {
            _ if is_too_long => Event::TooLong,
            true => Event::Data(data),
            false => Event::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream that arrives in these chunks.
    fn events(chunks: &[&[u8]]) -> Vec<Event> {
        let mut parser = EventParser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let (read, event) = parser.next(rest);
                assert!(read > 0, "each call reads something");
                events.extend(event);
                rest = &rest[read..];
            }
        }
        events.extend(parser.end());
        events.into_iter().filter(|event| *event != Event::Empty).collect()
    }

    fn data(texts: &[&str]) -> Vec<Event> {
        texts.iter().map(|text| Event::Data(text.as_bytes().to_vec())).collect()
    }

    /// Asserts that a stream has these events, wherever it is split.
    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        let (bytes, expected) = (stream.as_bytes(), data(expected));
        assert_eq!(events(&[bytes]), expected, "{stream:?}");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(events(&chunks), expected, "{stream:?} at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), expected, "{stream:?} byte by byte");
    }

    #[test]
    fn events_end_with_each_kind_of_line() {
        for end in ["\n", "\r\n", "\r"] {
            let stream =
                "data: one|: comment|event: x|data:two|data:  three|| |data|data||id: 5||".replace('|', end);
            check(&stream, &["one\ntwo\n three", "\n"]);
            check(&"data: {\"a\":1}||data: [DONE]||".replace('|', end), &["{\"a\":1}", "[DONE]"]);
        }
        check("data: a\r\ndata: b\n\rdata: c\r\r\n", &["a\nb", "c"]);
    }

    #[test]
    fn what_is_no_field_of_data_is_left_out() {
        check("database: x\n\n:data: x\n\n data: x\n\nevent: data\n\n", &[]);
        check("\u{feff}data: x\n\n\u{feff}data: y\n\n", &["x"]);
        check("data: \u{e4}\u{20ac}\n\n", &["\u{e4}\u{20ac}"]);
        check("\n\n\n", &[]);
    }

    #[test]
    fn the_end_of_the_stream_ends_an_event() {
        check("data: one\n\ndata: two\n", &["one", "two"]);
        check("data: one\n\ndata: two", &["one", "two"]);
        check("data: one\n\ndat", &["one"]);
    }

    #[test]
    fn a_long_event_is_skipped_in_little_memory() {
        let long = format!("data: {}\n\ndata: after\n\n", "x".repeat(EVENT_MAX_BYTES));
        assert_eq!(events(&[long.as_bytes()]), [Event::TooLong, Event::Data(b"after".to_vec())]);
        let chunks: Vec<&[u8]> = long.as_bytes().chunks(1_000).collect();
        assert_eq!(events(&chunks), [Event::TooLong, Event::Data(b"after".to_vec())]);
        let lines = format!("{}\ndata: after\n\n", "data: x\n".repeat(EVENT_MAX_BYTES));
        assert_eq!(events(&[lines.as_bytes()]), [Event::TooLong, Event::Data(b"after".to_vec())]);
        let mut parser = EventParser::default();
        for _ in 0..1_000 {
            parser.next(&[b'x'; 1_000]);
        }
        assert!(parser.line.capacity() <= 2 * EVENT_MAX_BYTES, "{}", parser.line.capacity());
        let fits = format!("data: {}\n\n", "x".repeat(EVENT_MAX_BYTES - 10));
        assert!(
            matches!(&events(&[fits.as_bytes()])[..], [Event::Data(data)] if data.len() == EVENT_MAX_BYTES - 10)
        );
    }
}
