//! Why a value that a client sent cannot be read.
//!
//! The variants name the kind of error only. The status, the code and the sentence that a client
//! gets follow from the kind, in `http::problem`.

/// The first error in a body or in a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The bytes are not well-formed JSON, or an object has one name twice.
    Malformed {
        /// The error in a sentence.
        detail: String,
        /// The path of the field that is given twice, such as `metadata.a`; else `None`.
        field: Option<String>,
    },
    /// The body has a field that the request does not have.
    UnknownField {
        /// The path of the field, such as `operations[0].cost`.
        field: String,
    },
    /// A field is missing, has the wrong type or a value out of range.
    InvalidField {
        /// The path of the field; `body` for the body itself.
        field: String,
        /// The rest of a sentence that begins with the field's name, such as `is required`.
        why: String,
    },
    /// The cursor is not one that the list returned.
    InvalidCursor,
}

impl ReadError {
    /// The error of one field. `why` continues a sentence that begins with the field's name.
    pub fn field(field: impl Into<String>, why: impl Into<String>) -> ReadError {
        ReadError::InvalidField { field: field.into(), why: why.into() }
    }
}
