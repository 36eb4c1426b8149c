//! TLS as the cluster uses it: version 1.3, both sides authenticated, roles read from certificates.
//!
//! Without an authority, which must be asked for, all that is verified is that the other side holds the key of the
//! certificate that it shows ([`Anyone`]): its name is its own word.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, PeerIncompatible, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
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
    let verifier: Arc<dyn ClientCertVerifier> = match roots(identity)? {
        None => Arc::new(Anyone(provider.clone())),
        Some(roots) => {
            WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().map_err(
                |error| NodeError::Credentials(format!("the authority's certificate: {error}")),
            )?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Connections live as long as their process: nothing is ever resumed.
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(|error| NodeError::Credentials(error.to_string()))
}

/// The configuration of a side that dials: it shows its certificate and checks the other's name.
pub(crate) fn client(identity: &Identity) -> Result<QuicClientConfig, NodeError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(unusable)?;
    let builder = match roots(identity)? {
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider()))),
        Some(roots) => builder.with_root_certificates(roots),
    };
    let mut config = builder
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| NodeError::Credentials(error.to_string()))
}

/// The role that the other side's certificate gives it in `cluster`; none if it gives none, or more than one. The
/// handshake has checked that the cluster's authority signed it.
pub(crate) fn role_of(
    connection: &quinn::Connection,
    cluster: &str,
    roles: impl Iterator<Item = Role>,
) -> Option<Role> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    let certificate = ParsedCertificate::try_from(chain.first()?).ok()?;
    let names = |role: &Role| {
        ServerName::try_from(role.name(cluster))
            .is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    };
    let mut roles = roles.filter(names);
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

/// Whom the other side's certificate must be signed by; none if by anybody.
fn roots(identity: &Identity) -> Result<Option<Arc<RootCertStore>>, NodeError> {
    let Some(authority) = &identity.authority else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(unusable)?;
    Ok(Some(Arc::new(roots)))
}

/// Takes every certificate for good, as long as the other side holds its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl Anyone {
    fn verify_holder(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Version 1.2 is not spoken.
fn no_tls12() -> rustls::Error {
    rustls::Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_holder(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Anyone {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_holder(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unusable(error: rustls::Error) -> NodeError {
    NodeError::Credentials(format!("the credentials cannot be used: {error}"))
}
