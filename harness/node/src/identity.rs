//! Who is who in a cluster: one authority per cluster and a certificate per replica, client and operator.
//!
//! A certificate carries one name, `<role>.<cluster>`: `replica-2.cluster-5d41402a`, `client.cluster-…`,
//! `operator.cluster-…`. Whoever dials a replica checks that the certificate shown names that replica; whoever is dialed
//! derives from the certificate alone what the other side may do. The authority's key signs the certificates when the
//! directory is made and is then forgotten: nobody can be added to a cluster later.
//!
//! An *insecure* identity has no authority: a certificate of its own making names its role, and it believes whatever
//! names others show. It is for trying things out on one's own machine, and only what is asked for by that name has it.

use std::{
    fmt, fs,
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use protocols::{ReplicaId, id::REPLICAS_MAX};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

pub use crate::role::Role;

use crate::NodeError;

const AUTHORITY_FILE: &str = "authority.pem";
const CLUSTER_FILE: &str = "cluster";
/// The cluster of everybody who verifies nobody.
const INSECURE_CLUSTER: &str = "insecure";

/// One party's certificate with its key, and the authority that the others must be signed by.
pub struct Identity {
    /// What the certificate says its holder is.
    pub role: Role,
    /// The cluster's name.
    pub cluster: String,
    /// None: nobody is verified.
    pub(crate) authority: Option<CertificateDer<'static>>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Loads the identity of `role` from a directory that [`create`] filled.
    ///
    /// # Errors
    /// If a file is missing or does not hold what it should.
    pub fn load(directory: &Path, role: Role) -> Result<Self, NodeError> {
        let cluster_file = directory.join(CLUSTER_FILE);
        let cluster = fs::read_to_string(&cluster_file)
            .map_err(|error| NodeError::file(&cluster_file, "read the cluster's name", error))?;
        Ok(Self {
            role,
            cluster: cluster.trim().to_owned(),
            authority: Some(load_pem(&directory.join(AUTHORITY_FILE))?),
            certificate: load_pem(&certificate_file(directory, role))?,
            key: load_pem(&key_file(directory, role))?,
        })
    }
}

impl Identity {
    /// An identity that anybody can make: of `role` by its own word, and believing everybody's. The traffic is encrypted
    /// all the same.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn insecure(role: Role) -> Result<Self, NodeError> {
        let make = || {
            let key = KeyPair::generate()?;
            let params = certificate_params(role, INSECURE_CLUSTER)?;
            Ok((params.self_signed(&key)?.der().clone(), key.serialize_der()))
        };
        let (certificate, key) = make().map_err(certificate_error)?;
        let key = PrivatePkcs8KeyDer::from(key).into();
        let cluster = INSECURE_CLUSTER.to_owned();
        Ok(Self { role, cluster, authority: None, certificate, key })
    }

    /// Is nobody verified?
    pub fn is_insecure(&self) -> bool {
        self.authority.is_none()
    }
}

impl fmt::Debug for Identity {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("role", &self.role)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// Makes the credentials of a new cluster of `replicas` in `directory`, which is made if need be: the authority's
/// certificate, and certificate and key of each replica, of the clients and of the operators. Only the owner can read
/// the keys. Returns the cluster's name.
///
/// # Errors
/// If a file cannot be written, or one is there already.
pub fn create(directory: &Path, replicas: usize) -> Result<String, NodeError> {
    assert!((1..=REPLICAS_MAX).contains(&replicas), "{replicas} replicas out of range");
    fs::create_dir_all(directory)
        .map_err(|error| NodeError::file(directory, "create the directory", error))?;
    let cluster = name_of_a("cluster");
    let issuer = issuer(&cluster).map_err(certificate_error)?;
    furnish(directory, &cluster, &issuer, Role::all(replicas))?;
    Ok(cluster)
}

/// Fills `directory` with what those in `roles` must have.
fn furnish(
    directory: &Path,
    cluster: &str,
    issuer: &rcgen::CertifiedIssuer<'static, KeyPair>,
    roles: impl Iterator<Item = Role>,
) -> Result<(), NodeError> {
    write(&directory.join(CLUSTER_FILE), 0o644, &format!("{cluster}\n"))?;
    write(&directory.join(AUTHORITY_FILE), 0o644, &issuer.pem())?;
    for role in roles {
        let (certificate, key) = issue(issuer, role, cluster).map_err(certificate_error)?;
        write(&certificate_file(directory, role), 0o644, &certificate)?;
        write(&key_file(directory, role), 0o600, &key)?;
    }
    Ok(())
}

/// The authority: its certificate and its key.
fn issuer(cluster: &str) -> Result<rcgen::CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("authority of {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    rcgen::CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// Certificate and key of `role`, as PEM.
fn issue(
    issuer: &Issuer<'_, KeyPair>,
    role: Role,
    cluster: &str,
) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let params = certificate_params(role, cluster)?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

/// What a certificate of `role` says.
fn certificate_params(role: Role, cluster: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![role.name(cluster)])?;
    params.distinguished_name.push(DnType::CommonName, format!("{role} of {cluster}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if let Role::Replica(_) | Role::Agent = role {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    Ok(params)
}

/// A name that tells this cluster, or lab, from others; it need not be secret.
fn name_of_a(kind: &str) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{kind}-{:08x}", random >> 32)
}

/// Makes the keys of a new lab: in `directory/driver` those of whoever orders its agents about, in
/// `directory/agent` those of its agents. Returns the lab's name.
///
/// # Errors
/// If a file cannot be written, or one is there already.
pub fn create_lab(directory: &Path) -> Result<String, NodeError> {
    let lab = name_of_a("lab");
    let issuer = issuer(&lab).map_err(certificate_error)?;
    for role in Role::OF_A_LAB {
        let of_role = directory.join(role.label());
        fs::create_dir_all(&of_role)
            .map_err(|error| NodeError::file(&of_role, "create the directory", error))?;
        furnish(&of_role, &lab, &issuer, std::iter::once(role))?;
    }
    Ok(lab)
}

/// A replica's identity as it travels to its host: PEM texts, and the cluster's name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    cluster: String,
    authority: String,
    certificate: String,
    key: String,
}

impl Bundle {
    /// What `replica` must have of the credentials in `directory`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(directory: &Path, replica: ReplicaId) -> Result<Self, NodeError> {
        let role = Role::Replica(replica);
        let read = |path: PathBuf| {
            fs::read_to_string(&path).map_err(|error| NodeError::file(&path, "read", error))
        };
        Ok(Self {
            cluster: read(directory.join(CLUSTER_FILE))?,
            authority: read(directory.join(AUTHORITY_FILE))?,
            certificate: read(certificate_file(directory, role))?,
            key: read(key_file(directory, role))?,
        })
    }

    /// Writes it where `replica` loads it from; `directory` must not exist.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, directory: &Path, replica: ReplicaId) -> Result<(), NodeError> {
        let role = Role::Replica(replica);
        fs::create_dir(directory)
            .map_err(|error| NodeError::file(directory, "create the directory", error))?;
        write(&directory.join(CLUSTER_FILE), 0o644, &self.cluster)?;
        write(&directory.join(AUTHORITY_FILE), 0o644, &self.authority)?;
        write(&certificate_file(directory, role), 0o644, &self.certificate)?;
        write(&key_file(directory, role), 0o600, &self.key)
    }
}

impl fmt::Debug for Bundle {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

fn certificate_file(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{}.pem", role.label()))
}

fn key_file(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{}.key", role.label()))
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), NodeError> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| NodeError::file(path, "write", error))
}

fn load_pem<T: PemObject>(path: &Path) -> Result<T, NodeError> {
    let bytes = fs::read(path).map_err(|error| NodeError::file(path, "read", error))?;
    T::from_pem_slice(&bytes).map_err(|error| {
        NodeError::Credentials(format!("{}: no such PEM: {error}", path.display()))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn certificate_error(error: rcgen::Error) -> NodeError {
    NodeError::Credentials(format!("cannot make the cluster's certificates: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use protocols::ReplicaId;

    use super::*;

    #[test]
    fn every_role_is_loaded_from_the_directory_and_keys_are_the_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let cluster = create(directory.path(), 3).unwrap();
        for role in Role::all(3) {
            let identity = Identity::load(directory.path(), role).unwrap();
            assert_eq!((identity.role, &identity.cluster), (role, &cluster));
            let mode = key_file(directory.path(), role).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let error = Identity::load(directory.path(), Role::Replica(ReplicaId(3))).unwrap_err();
        assert!(error.to_string().contains("replica-3.pem"), "{error}");
        assert!(create(directory.path(), 3).is_err(), "an existing cluster is not overwritten");
    }

    #[test]
    fn a_lab_gives_drivers_and_agents_their_own_keys_alone() {
        let directory = tempfile::tempdir().unwrap();
        let lab = create_lab(directory.path()).unwrap();
        for (role, other) in [(Role::Driver, Role::Agent), (Role::Agent, Role::Driver)] {
            let of_role = directory.path().join(role.label());
            let identity = Identity::load(&of_role, role).unwrap();
            assert_eq!((identity.role, &identity.cluster), (role, &lab));
            assert!(Identity::load(&of_role, other).is_err());
        }
        assert!(create_lab(directory.path()).is_err(), "an existing lab is not overwritten");
    }

    #[test]
    fn a_bundle_holds_one_replica_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), 3).unwrap();
        let bundle = Bundle::read(directory.path(), ReplicaId(1)).unwrap();
        let there = directory.path().join("there");
        bundle.write(&there, ReplicaId(1)).unwrap();
        assert!(Identity::load(&there, Role::Replica(ReplicaId(1))).is_ok());
        for other in [Role::Replica(ReplicaId(0)), Role::Client, Role::Operator] {
            assert!(Identity::load(&there, other).is_err());
        }
        assert!(!format!("{bundle:?}").contains("PRIVATE"), "{bundle:?}");
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), 1).unwrap();
        fs::write(directory.path().join("client.pem"), "nonsense").unwrap();
        let error = Identity::load(directory.path(), Role::Client).unwrap_err();
        assert!(error.to_string().contains("client.pem"), "{error}");
    }
}
