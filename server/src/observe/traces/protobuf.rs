//! Spans in the encoding of OTLP: Protocol Buffers, as `opentelemetry/proto/trace/v1/trace.proto`
//! of the OpenTelemetry protocol defines them.
//!
//! Only what this program sends is written. A field of the value zero or without bytes is left out,
//! as the format has it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Span, What};

/// A message that is being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How a value is written, by the numbers of the format.
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const BYTES: u32 = 2;
const FIXED_32: u32 = 5;

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn number(&mut self, field: u32, value: u64) {
        if value > 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
    }

    fn fixed_64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED_64);
        self.0.extend(value.to_le_bytes());
    }

    fn fixed_32(&mut self, field: u32, value: u32) {
        self.key(field, FIXED_32);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.message(field, |inner| inner.0.extend(value));
        }
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.key(field, BYTES);
        self.varint(inner.0.len() as u64);
        self.0.append(&mut inner.0);
    }

    /// An attribute (`KeyValue`) whose value (`AnyValue`) is a text.
    fn text_attribute(&mut self, field: u32, key: &str, value: &str) {
        self.message(field, |attribute| {
            attribute.bytes(1, key.as_bytes());
            attribute.message(2, |any| any.message(1, |text| text.0.extend(value.as_bytes())));
        });
    }

    /// An attribute whose value is a number.
    fn number_attribute(&mut self, field: u32, key: &str, value: u64) {
        self.message(field, |attribute| {
            attribute.bytes(1, key.as_bytes());
            attribute.message(2, |any| {
                any.key(3, VARINT);
                any.varint(value);
            });
        });
    }
}

/// The request that exports spans: `ExportTraceServiceRequest`.
pub fn export_request(spans: &[Span]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            resource.text_attribute(1, "service.name", "tollkeeper");
            resource.text_attribute(1, "service.version", env!("CARGO_PKG_VERSION"));
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.bytes(1, b"tollkeeper");
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            for span in spans {
                scope_spans.message(2, |message| write_span(message, span));
            }
        });
    });
    request.0
}

/// The fields of the message `Span`, by their numbers.
mod field {
    pub const TRACE_ID: u32 = 1;
    pub const SPAN_ID: u32 = 2;
    pub const PARENT_SPAN_ID: u32 = 4;
    pub const NAME: u32 = 5;
    pub const KIND: u32 = 6;
    pub const START: u32 = 7;
    pub const END: u32 = 8;
    pub const ATTRIBUTES: u32 = 9;
    pub const STATUS: u32 = 15;
    pub const FLAGS: u32 = 16;
}

const KIND_INTERNAL: u64 = 1;
const KIND_SERVER: u64 = 2;
const STATUS_ERROR: u64 = 2;

/// The flags: the trace is recorded, it is known whether the parent is elsewhere, and it is.
const RECORDED: u32 = 0x1;
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

fn write_span(message: &mut Message, span: &Span) {
    let Span { context, parent, began_at, took, what } = span;
    message.bytes(field::TRACE_ID, &context.trace_id);
    message.bytes(field::SPAN_ID, &context.span_id);
    message.bytes(field::PARENT_SPAN_ID, parent.as_ref().map_or(&[], |id| &id[..]));
    let start = nanos(*began_at);
    message.fixed_64(field::START, start);
    message.fixed_64(field::END, start.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)));
    match what {
        What::Request { method, route, status, workspace, problem } => {
            message.bytes(field::NAME, format!("{method} {route}").as_bytes());
            message.number(field::KIND, KIND_SERVER);
            let attributes = field::ATTRIBUTES;
            message.text_attribute(attributes, "http.request.method", method.as_str());
            message.text_attribute(attributes, "http.route", route);
            message.number_attribute(attributes, "http.response.status_code", u64::from(*status));
            if let Some(workspace) = workspace {
                message.text_attribute(attributes, "tollkeeper.workspace", workspace.as_str());
            }
            if let Some(problem) = problem {
                message.text_attribute(attributes, "error.type", problem);
            }
            if *status >= 500 {
                message.message(field::STATUS, |status| status.number(3, STATUS_ERROR));
            }
            let remote = if parent.is_some() { IS_REMOTE } else { 0 };
            message.fixed_32(field::FLAGS, RECORDED | KNOWS_REMOTE | remote);
        }
        What::Engine { commands } => {
            message.bytes(field::NAME, b"engine");
            message.number(field::KIND, KIND_INTERNAL);
            message.number_attribute(field::ATTRIBUTES, "tollkeeper.commands", *commands as u64);
            message.fixed_32(field::FLAGS, RECORDED | KNOWS_REMOTE);
        }
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_format_says() {
        let mut message = Message::default();
        message.number(1, 150);
        message.number(2, 0);
        message.bytes(2, b"testing");
        message.bytes(3, b"");
        message.message(3, |inner| inner.number(1, 150));
        message.fixed_32(16, 1);
        message.fixed_64(7, 2);
        let expected = [
            &[0x08, 0x96, 0x01][..],
            &[0x12, 0x07],
            b"testing",
            &[0x1a, 0x03, 0x08, 0x96, 0x01],
            &[0x85, 0x01, 1, 0, 0, 0],
            &[0x39, 2, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(message.0, expected.concat());
        let mut largest = Message::default();
        largest.varint(u64::MAX);
        assert_eq!(largest.0, [&[0xff; 9][..], &[0x01]].concat());
    }
}
