//! The file that names the hosts of a laboratory, and whether they can be used.

mod ssh;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use node::{
    address::Address,
    agent::{
        lab::{Lab, LabHost, PORT},
        line::Driver,
        wire::Build,
    },
};
use serde::Deserialize;
use tokio::time::timeout;

pub(crate) use self::ssh::SshAgents;
use self::ssh::SshHost;
use crate::{commands::cluster::block_on, exit::Failure};

/// Chosen: so long the last words to agents may take to leave; those that do not arrive are not
/// needed.
const FAREWELL: Duration = Duration::from_millis(300);

/// Which program this is, to agents.
pub(crate) fn build() -> Build {
    Build::new(env!("CARGO_PKG_VERSION"), env!("BENCH_COMMIT"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LabFile {
    keys: PathBuf,
    hosts: Vec<HostEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostEntry {
    name: Option<String>,
    address: Option<String>,
    roles: Option<Vec<String>>,
    ssh: Option<String>,
}

/// What the file says.
#[derive(Clone, Debug)]
pub(crate) struct Laboratory {
    /// The hosts.
    pub(crate) lab: Lab,
    /// Those of them whose agents are started over ssh.
    ssh: Vec<SshHost>,
}

impl Laboratory {
    /// Starts the agents that are to be started over ssh, if any, and waits until they answer.
    ///
    /// # Errors
    /// If one cannot be.
    pub(crate) fn start_agents(&self) -> Result<SshAgents, Failure> {
        let mut agents = SshAgents::start(&self.lab, &self.ssh)?;
        block_on(async {
            let driver = driver(&self.lab)?;
            agents.wait_until_up(&driver, &self.lab, &self.ssh).await
        })?;
        Ok(agents)
    }

    /// Refuses hosts whose agents would end with this command.
    ///
    /// # Errors
    /// If there are any.
    pub(crate) fn check_lasting(&self) -> Result<(), Failure> {
        let Some(host) = self.ssh.first() else { return Ok(()) };
        Err(Failure::usage(format!(
            "hosts[{}]: ssh = \"{}\": an agent that ssh starts ends with its command, and a standing cluster outlives it: start \
             that agent by hand",
            host.place, host.login
        )))
    }
}

/// Reads the hosts from `file`.
///
/// # Errors
/// If it cannot be used: what is wrong and what to do, in a line.
pub(crate) fn load(file: &Path) -> Result<Laboratory, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let (mut lab, ssh) =
        parse(&text).map_err(|reason| Failure::usage(format!("{}: {reason}", file.display())))?;
    let beside = file.parent().unwrap_or(Path::new(""));
    lab.keys = beside.join(lab.keys);
    if !lab.keys.is_dir() {
        return Err(Failure::usage(format!(
            "{}: keys = \"{}\": there is no such directory: `{} keys new DIR` makes DIR/driver",
            file.display(),
            lab.keys.display(),
            crate::program::name()
        )));
    }
    Ok(Laboratory { lab, ssh })
}

fn parse(text: &str) -> Result<(Lab, Vec<SshHost>), String> {
    let file: LabFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let line = line.map_or_else(String::new, |line| format!("line {line}: "));
        format!("{line}{}", error.message())
    })?;
    let mut names = BTreeSet::new();
    let (mut hosts, mut ssh) = (Vec::new(), Vec::new());
    for (place, entry) in file.hosts.into_iter().enumerate() {
        ssh.extend(entry.ssh.clone().map(|login| SshHost { place, login }));
        let host = host(entry).map_err(|reason| format!("hosts[{place}]: {reason}"))?;
        if !names.insert(host.name.clone()) {
            return Err(format!("hosts[{place}]: name = \"{}\": two hosts have it", host.name));
        }
        hosts.push(host);
    }
    if !hosts.iter().any(|host| host.replica) {
        return Err("hosts: none has the role \"replica\": name one for each replica".to_owned());
    }
    Ok((Lab { keys: file.keys, hosts }, ssh))
}

fn host(entry: HostEntry) -> Result<LabHost, String> {
    let HostEntry { name, address, roles, ssh } = entry;
    if ssh.as_ref().is_some_and(|login| login.is_empty() || login.starts_with('-')) {
        return Err("ssh: it must be as in ssh = \"me@host\"".to_owned());
    }
    let login = ssh.map(|login| login.rsplit('@').next().unwrap_or_default().to_owned());
    let (key, text) = match (&address, &login, &name) {
        (Some(address), _, _) => ("address", address),
        (None, Some(host), _) => ("ssh", host),
        (None, None, Some(name)) => ("name", name),
        (None, None, None) => return Err("it has neither a name nor an address".to_owned()),
    };
    let parsed = Address::with_default_port(text, PORT)
        .map_err(|reason| format!("{key} = \"{text}\": {reason}"))?;
    let name = name.as_ref().unwrap_or(text).clone();
    let roles = roles.unwrap_or_else(|| vec!["replica".to_owned()]);
    let unknown = roles.iter().find(|role| !["replica", "load"].contains(&role.as_str()));
    if let Some(role) = unknown {
        return Err(format!("roles: \"{role}\" is none: use \"replica\", \"load\", or both"));
    }
    let has = |role: &str| roles.iter().any(|own| own == role);
    Ok(LabHost { name, address: parsed, replica: has("replica"), load: has("load") })
}

/// Is every host there that a cluster of `replicas` takes, and does its agent obey?
///
/// # Errors
/// If there are too few, or one cannot be reached: each by its name.
pub(crate) fn check(lab: &Lab, file: &Path, replicas: usize) -> Result<(), Failure> {
    let hosts = check_room(lab, file, replicas)?;
    block_on(async {
        let driver = driver(lab)?;
        let lines = driver.connect_all(&hosts).await.map_err(Failure::failed)?;
        for line in lines {
            line.leave().await.map_err(Failure::failed)?;
        }
        farewell(&driver).await;
        Ok(())
    })
}

/// The hosts of a cluster of so many replicas.
///
/// # Errors
/// If there are too few.
pub(crate) fn check_room<'a>(
    lab: &'a Lab,
    file: &Path,
    replicas: usize,
) -> Result<Vec<&'a LabHost>, Failure> {
    let (file, there) = (file.display(), lab.replicas_max());
    lab.hosts_of(replicas).ok_or_else(|| {
        Failure::usage(format!(
            "{file}: hosts: {there} have the role \"replica\", and a cluster of {replicas} takes one for each: add hosts"
        ))
    })
}

/// What dials the agents of `lab`. Needs a runtime.
///
/// # Errors
/// If the keys cannot be used.
pub(crate) fn driver(lab: &Lab) -> Result<Driver, Failure> {
    Driver::new(&lab.keys, build()).map_err(Failure::usage)
}

/// Lets the agents know that this driver is done.
pub(crate) async fn farewell(driver: &Driver) {
    // An agent that does not hear it notices by itself.
    let _ = timeout(FAREWELL, driver.wait_idle()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_with_what_they_may_do() {
        let (lab, ssh) = parse(
            "keys = \"keys/driver\"\n[[hosts]]\nname = \"r0\"\n[[hosts]]\naddress = \"10.0.0.2:7001\"\n\
             [[hosts]]\nname = \"load\"\naddress = \"10.0.0.3\"\nroles = [\"load\"]\nssh = \"me@10.0.0.3\"\n",
        )
        .unwrap();
        let texts: Vec<String> =
            lab.hosts.iter().map(|host| format!("{} {}", host.name, host.address)).collect();
        assert_eq!(texts, ["r0 r0:7000", "10.0.0.2:7001 10.0.0.2:7001", "load 10.0.0.3:7000"]);
        let roles: Vec<_> = lab.hosts.iter().map(|host| (host.replica, host.load)).collect();
        assert_eq!(roles, [(true, false), (true, false), (false, true)]);
        assert_eq!(ssh, [SshHost { place: 2, login: "me@10.0.0.3".to_owned() }]);
        let text = "keys = \"k\"\n[[hosts]]\nssh = \"me@far\"\n";
        assert_eq!(parse(text).unwrap().0.hosts[0].address.to_string(), "far:7000");
        assert_eq!(lab.hosts_of(2).unwrap().len(), 2);
        assert!(lab.hosts_of(3).is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let refused = |text: &str, expected: &str| {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        };
        refused("keys = 1\nhosts = []\n", "line 1: ");
        refused("keys = \"k\"\nhost = []\n", "line 2: unknown field `host`");
        refused("keys = \"k\"\n", "missing field `hosts`");
        refused("keys = \"k\"\nhosts = []\n", "none has the role");
        refused("keys = \"k\"\n[[hosts]]\n", "hosts[0]: it has neither");
        refused("keys = \"k\"\n[[hosts]]\nname = \"a b\"\n", "hosts[0]: name = \"a b\"");
        refused("keys = \"k\"\n[[hosts]]\naddress = \"a:0\"\n", "hosts[0]: address = \"a:0\"");
        let twice = "keys = \"k\"\n[[hosts]]\nname = \"a\"\n[[hosts]]\nname = \"a\"\n";
        refused(twice, "hosts[1]: name = \"a\": two hosts have it");
        let role = "keys = \"k\"\n[[hosts]]\nname = \"a\"\nroles = [\"root\"]\n";
        refused(role, "hosts[0]: roles: \"root\" is none");
        refused("keys = \"k\"\n[[hosts]]\nssh = \"-o x\"\n", "hosts[0]: ssh: it must be as in");
    }
}
