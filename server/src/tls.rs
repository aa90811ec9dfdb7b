//! TLS of connections that this server opens: to receivers, to Stripe, to a collector of traces.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// TLS with the certificate authorities that the operating system trusts. Without encryption
/// (`is_encrypted`), they are not read.
///
/// # Errors
/// The operating system has no trusted certificate authorities.
pub fn client(is_encrypted: bool) -> std::io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(std::io::Error::other)?;
    let builder = if is_encrypted {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
