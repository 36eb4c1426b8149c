//! TLS as the cluster uses it: version 1.3, both sides authenticated, roles read from certificates.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, verify_server_name},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName},
    server::{ParsedCertificate, WebPkiClientVerifier},
    version::TLS13,
};

use crate::{
    NodeError,
    identity::{Identity, Role},
};

/// What both sides must speak; counted up whenever a frame changes its form.
const ALPN: &[u8] = b"paxos-lab/1";

/// The configuration of a side that accepts: it demands a certificate of the cluster.
pub(crate) fn server(identity: &Identity) -> Result<QuicServerConfig, NodeError> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity)?, provider.clone())
        .build()
        .map_err(|error| NodeError::new(format!("the authority's certificate: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Connections live as long as their process: nothing is ever resumed.
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(|error| NodeError::new(error.to_string()))
}

/// The configuration of a side that dials: it shows its certificate and checks the other's name.
pub(crate) fn client(identity: &Identity) -> Result<QuicClientConfig, NodeError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| NodeError::new(error.to_string()))
}

/// The role that the other side's certificate gives it in `cluster`; none if it gives none, or more than one. The
/// handshake has checked that the cluster's authority signed it.
pub(crate) fn role_of(
    connection: &quinn::Connection,
    cluster: &str,
    replicas: usize,
) -> Option<Role> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    let certificate = ParsedCertificate::try_from(chain.first()?).ok()?;
    let names = |role: &Role| {
        ServerName::try_from(role.name(cluster))
            .is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    };
    let mut roles = Role::all(replicas).filter(names);
    roles.next().filter(|_| roles.next().is_none())
}

/// AES-128-GCM comes first: with the CPU's AES instructions it is the cheapest.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}

fn roots(identity: &Identity) -> Result<Arc<RootCertStore>, NodeError> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.authority.clone()).map_err(unusable)?;
    Ok(Arc::new(roots))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unusable(error: rustls::Error) -> NodeError {
    NodeError::new(format!("the credentials cannot be used: {error}"))
}
