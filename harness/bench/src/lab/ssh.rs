//! Agents that the system's OpenSSH starts, where a host of the file has `ssh = "me@host"`.
//!
//! The program and the agents' keys are carried to a directory of their own below `/tmp` of the
//! host. The agent ends, and the directory goes, when the line does: its standard input ends then.
//! Keys travel inside the line, and never as words of a command, which others on the host could
//! read.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use node::agent::{lab::Lab, line::Driver};

use super::farewell;
use crate::exit::Failure;

/// Chosen: a host that does not answer by then is down, or there is none.
const CONNECT_TIMEOUT_S: u32 = 10;
/// Chosen: an agent listens as soon as it is started; a slow host needs seconds for that.
const UP_TIMEOUT: Duration = Duration::from_secs(20);
const UP_POLL: Duration = Duration::from_millis(100);
/// Chosen: longer than an agent takes to end, and its directory to go.
const END_TIMEOUT: Duration = Duration::from_secs(3);
const END_POLL: Duration = Duration::from_millis(10);
/// What an agent must have of its keys.
const KEY_FILES: [&str; 4] = ["cluster", "authority.pem", "agent.pem", "agent.key"];
/// The end of a file on its way; no line of a PEM file is it.
const END_OF_FILE: &str = ".";
/// Puts what comes on standard input into a file of a new directory, which it names.
const CARRY: &str = "umask 077; d=$(mktemp -d /tmp/bench-agent-XXXXXX) && cat > \"$d/bench\" && \
                     chmod 700 \"$d/bench\" && echo \"$d\"";

/// A host whose agent is started over ssh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshHost {
    /// Which of the lab's hosts.
    pub(super) place: usize,
    /// Whom to log in as, and where.
    pub(super) login: String,
}

/// Agents that were started over ssh. They end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct SshAgents(Vec<SshAgent>);

#[derive(Debug)]
struct SshAgent {
    child: Child,
    /// Its end is what ends the agent.
    stdin: Option<ChildStdin>,
}

impl SshAgents {
    /// Starts the agents of `hosts`, one after the other, and waits until each answers.
    ///
    /// # Errors
    /// If the agents' keys are missing, or a host cannot be reached: ssh's own words.
    pub(super) fn start(lab: &Lab, hosts: &[SshHost]) -> Result<Self, Failure> {
        let mut agents = Self::default();
        if hosts.is_empty() {
            return Ok(agents);
        }
        let keys = lab.keys.with_file_name("agent");
        let keys = key_lines(&keys)?;
        for host in hosts {
            let directory = carry(&host.login)?;
            let port = lab.hosts[host.place].address.port();
            agents.0.push(SshAgent::start(&host.login, &directory, port, &keys)?);
        }
        Ok(agents)
    }

    /// Waits until each of these hosts answers.
    ///
    /// # Errors
    /// If one has ended, or does not answer in time.
    pub(super) async fn wait_until_up(
        &mut self,
        driver: &Driver,
        lab: &Lab,
        hosts: &[SshHost],
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + UP_TIMEOUT;
        for (agent, host) in self.0.iter_mut().zip(hosts) {
            loop {
                let error = match driver.connect(&lab.hosts[host.place]).await {
                    Ok(line) => break line.leave().await.map_err(Failure::failed)?,
                    Err(error) => error,
                };
                if matches!(agent.child.try_wait(), Ok(Some(_))) {
                    let words = words_of(&mut agent.child);
                    return Err(Failure::failed(format!("ssh {}: {words}", host.login)));
                }
                if Instant::now() >= deadline {
                    return Err(Failure::failed(error));
                }
                tokio::time::sleep(UP_POLL).await;
            }
        }
        farewell(driver).await;
        Ok(())
    }
}

impl SshAgent {
    fn start(login: &str, directory: &str, port: u16, keys: &str) -> Result<Self, Failure> {
        let files = KEY_FILES.join(" ");
        let script = format!(
            "umask 077; cd {directory} && mkdir agent && for f in {files}; do while IFS= read -r l && [ \"$l\" != {END_OF_FILE} ]; \
             do printf '%s\\n' \"$l\"; done > agent/$f; done; ./bench agent --until-stdin-ends --keys agent --data data --listen \
             0.0.0.0:{port} 2> log || tail -n 1 log >&2; rm -rf {directory}"
        );
        let failed = |error| Failure::failed(format!("ssh {login}: {error}"));
        let mut child = ssh(login, &script)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C reaches this program alone, which then ends its agents in order.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut stdin = child.stdin.take().expect("it is piped");
        // Where it has ended already, that shows when it is waited for.
        let _ = stdin.write_all(keys.as_bytes());
        Ok(Self { child, stdin: Some(stdin) })
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + END_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(END_POLL);
        }
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The key files, one behind the other.
fn key_lines(keys: &Path) -> Result<String, Failure> {
    let mut lines = String::new();
    for name in KEY_FILES {
        let file = keys.join(name);
        let text = fs::read_to_string(&file).map_err(|error| {
            let remedy = "an agent that ssh starts is given these keys, beside those of the driver";
            Failure::usage(format!("{}: {error}: {remedy}", file.display()))
        })?;
        lines.push_str(text.trim_end());
        lines.push_str(&format!("\n{END_OF_FILE}\n"));
    }
    Ok(lines)
}

/// Carries this program to the host; gives the directory there.
fn carry(login: &str) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("ssh {login}: {error}"));
    let program = std::env::current_exe().and_then(File::open).map_err(|error| failed(&error))?;
    let output = ssh(login, CARRY).stdin(program).output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(&words.trim()));
    }
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // It becomes part of a command.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    if !directory.starts_with("/tmp/bench-agent-") || !directory.bytes().all(fits) {
        return Err(failed(&format!("it named no directory, but \"{directory}\"")));
    }
    Ok(directory)
}

fn ssh(login: &str, script: &str) -> Command {
    let mut command = Command::new("ssh");
    command
        .args(["-o", "BatchMode=yes", "-o", &format!("ConnectTimeout={CONNECT_TIMEOUT_S}")])
        .args(["-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3", "--"])
        .args([login, script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The last line that it said.
fn words_of(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        // Without words there is nothing more to tell.
        let _ = stderr.read_to_string(&mut text);
    }
    text.lines().last().unwrap_or("it ended").to_owned()
}
