//! A laboratory of several hosts, each an agent on the loopback: runs, faults, and what is left
//! when something goes away.

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::place::{Ended, Place, Running, TINY, cell, names, replicas_of, rows, wait_for};

/// Agents, and the file that names them.
struct Lab {
    place: Place,
    agents: Vec<Child>,
}

impl Lab {
    /// So many hosts, all of which answer.
    fn start(hosts: usize, workload: &str) -> Self {
        let place = Place::new(workload);
        let made = place.bench(&["keys", "new", "keys"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let free = |_| UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets: Vec<_> = (0..hosts).map(free).collect();
        let ports: Vec<u16> =
            sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        drop(sockets);
        let mut file = "keys = \"keys/driver\"\n".to_owned();
        for (host, port) in ports.iter().enumerate() {
            file.push_str(&format!(
                "[[hosts]]\nname = \"h{host}\"\naddress = \"localhost:{port}\"\n"
            ));
        }
        fs::write(place.path().join("lab.toml"), file).unwrap();
        let mut lab = Self { place, agents: Vec::new() };
        for (host, port) in ports.iter().enumerate() {
            let agent = lab.agent(host, *port);
            lab.agents.push(agent);
        }
        let up = wait_for("the agents", || {
            let shown = lab.place.bench(&["hosts", "--on", "lab.toml"]);
            (shown.code == Some(0)).then_some(shown)
        });
        assert!(up.stdout.contains("one machine, its CPUs are shared"), "{up:?}");
        lab
    }

    fn agent(&self, host: usize, port: u16) -> Child {
        let log = fs::File::create(self.place.path().join(format!("agent-{host}.log"))).unwrap();
        Command::new(env!("CARGO_BIN_EXE_bench"))
            .args(["agent", "--keys", "keys/agent", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--data", &format!("data-{host}")])
            .current_dir(self.place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn pid(&self, host: usize) -> i32 {
        i32::try_from(self.agents[host].id()).unwrap()
    }

    /// All replicas that the agents have.
    fn replicas(&self) -> Vec<i32> {
        (0..self.agents.len()).flat_map(|host| replicas_of(self.pid(host))).collect()
    }

    /// A run on these hosts that is under way and would last for minutes.
    fn under_way(&self) -> Running {
        let running = self.place.start(&[
            "run",
            "w.toml",
            "--on",
            "lab.toml",
            "--set",
            "protocols=[\"multi-paxos\"]",
            "--set",
            "load.duration_s=300",
        ]);
        wait_for("three replicas", || (self.replicas().len() == 3).then_some(()));
        running
    }

    /// What the agent of this host has of clusters.
    fn clusters(&self, host: usize) -> Vec<String> {
        names(&self.data(host).join("clusters"))
    }

    fn data(&self, host: usize) -> PathBuf {
        self.place.path().join(format!("data-{host}"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// One line on standard error that holds all of `parts`.
fn assert_line(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
}

/// Every file below a directory, but for those whose names a run draws.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for name in names(&directory) {
            let path = directory.join(&name);
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_on_hosts_gives_what_a_run_on_this_one_does() {
    let lab = Lab::start(3, TINY);
    let arguments = ["run", "w.toml", "--quiet", "--set", "cluster.durability=buffered"];
    let here = lab.place.bench(&arguments);
    assert!(matches!(here.code, Some(0 | 3)), "{here:?}");
    let files_here = files(&lab.place.results());
    let mut on_hosts = arguments.to_vec();
    on_hosts.extend(["--on", "lab.toml"]);
    let there = lab.place.bench(&on_hosts);
    // A loaded machine may spoil the figures; the rest must hold.
    assert!(matches!(there.code, Some(0 | 3)), "{there:?}");
    assert_eq!(files(&lab.place.results()), files_here);
    let summary = rows(&lab.place.results().join("summary.csv"));
    assert!(!summary.is_empty());
    for row in &summary {
        assert_eq!(cell(row, "linearizable"), "true", "{row:?}");
        assert_eq!(cell(row, "replicas_agree"), "true", "{row:?}");
        assert_ne!(cell(row, "server_cpu_s"), "", "{row:?}");
    }
    let log = lab.place.results().join("logs/multi-paxos-default-r1-replica0.log");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("is connected") && log.contains("stopped"), "{log}");
    for host in 0..3 {
        assert_eq!(lab.clusters(host), Vec::<String>::new());
        assert!(!lab.data(host).join("kept").exists());
    }
    assert_eq!(lab.replicas(), Vec::<i32>::new());
}

#[test]
fn faults_strike_on_hosts_as_they_do_here() {
    let faults = "\
        [cluster]\n\
        durability = \"fsync\"\n\
        [[faults]]\nat_s = 0.2\nkill = \"leader\"\n\
        [[faults]]\nat_s = 0.8\nrestart = \"random\"\n\
        [[faults]]\nat_s = 1.2\npause = 1\n\
        [[faults]]\nat_s = 1.6\nresume = 1\n";
    let lab = Lab::start(3, &format!("protocols = [\"multi-paxos\"]\n{TINY}{faults}"));
    let ended =
        lab.place.bench(&["run", "w.toml", "--on", "lab.toml", "--set", "load.duration_s=2.5"]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let row = &rows(&lab.place.results().join("summary.csv"))[0];
    assert_eq!(cell(row, "linearizable"), "true", "{row:?}");
    assert_eq!(cell(row, "replicas_agree"), "true", "{row:?}");
    let kept = &rows(&lab.place.results().join("kept.csv"))[0];
    assert_eq!(cell(kept, "acknowledged_lost"), "0", "{kept:?}");
    let recoveries = rows(&lab.place.results().join("recoveries.csv"));
    assert_eq!(recoveries.len(), 1, "{recoveries:?}");
    assert_eq!(lab.replicas(), Vec::<i32>::new());
}

#[test]
fn replicas_end_with_their_driver_however_it_ends() {
    let lab = Lab::start(3, TINY);
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let running = lab.under_way();
        send(running.pid(), signal);
        let ended = running.end();
        assert_eq!(ended.code, (signal == Signal::SIGINT).then_some(1), "{ended:?}");
        if signal == Signal::SIGKILL {
            // Its line is not known to be lost yet, or it is, and its replicas have a while left.
            let second = lab.place.bench(&["run", "w.toml", "--on", "lab.toml"]);
            assert_line(&second, 1, &["host h0: the agent obeys the driver with process id"]);
        }
        wait_for("the replicas to end", || lab.replicas().is_empty().then_some(()));
    }
    wait_for("the agents to be free", || {
        (lab.place.bench(&["hosts", "--on", "lab.toml"]).code == Some(0)).then_some(())
    });
    for host in 0..3 {
        assert_eq!(lab.clusters(host), Vec::<String>::new());
    }
}

#[test]
fn a_replica_or_a_host_that_goes_away_ends_the_run_by_name() {
    let mut lab = Lab::start(3, TINY);
    let running = lab.under_way();
    send(replicas_of(lab.pid(1))[0], Signal::SIGKILL);
    let ended = running.end();
    assert_line(&ended, 1, &["replica 1 ended by itself (signal: 9 (SIGKILL))"]);
    wait_for("the replicas to end", || lab.replicas().is_empty().then_some(()));
    let running = lab.under_way();
    let replicas = replicas_of(lab.pid(2));
    send(lab.pid(2), Signal::SIGTERM);
    assert_eq!(lab.agents[2].wait().unwrap().code(), Some(0));
    assert!(
        replicas.iter().all(|pid| kill(Pid::from_raw(*pid), None).is_err()),
        "none outlives its agent"
    );
    assert_line(&running.end(), 1, &["host h2: the line to its agent is lost"]);
    let unreachable = lab.place.bench(&["run", "w.toml", "--on", "lab.toml"]);
    assert_line(&unreachable, 1, &["host h2: no agent of this lab answers at 127.0.0.1:"]);
    let shown = lab.place.bench(&["hosts", "--on", "lab.toml"]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.stdout.contains("host h2: no agent of this lab answers"), "{shown:?}");
}

#[test]
fn a_cluster_on_hosts_outlives_its_commands_and_comes_back_with_its_agents() {
    let mut lab = Lab::start(3, TINY);
    let done = |lab: &Lab, arguments: &[&str]| {
        let ended = lab.place.bench(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    let up = done(&lab, &["cluster", "up", "--on", "lab.toml"]);
    assert!(up.contains("localhost:"), "replicas are known by name: {up}");
    assert_eq!(lab.replicas().len(), 3);
    done(&lab, &["client", "put", "114", "514"]);
    assert_eq!(done(&lab, &["client", "get", "114", "--server", "all"]).matches("514").count(), 3);
    done(&lab, &["cluster", "kill", "0"]);
    assert_eq!(lab.replicas().len(), 2);
    done(&lab, &["client", "put", "114", "515"]);
    assert_eq!(lab.place.bench(&["cluster", "status"]).code, Some(1), "one does not answer");
    done(&lab, &["cluster", "restart", "0"]);
    done(&lab, &["cluster", "partition", "0"]);
    done(&lab, &["cluster", "heal"]);
    // An agent that ends takes its replica with it, and starts it again when it is started.
    let port = {
        let text = fs::read_to_string(lab.place.path().join("lab.toml")).unwrap();
        let last = text.rsplit_once("localhost:").unwrap().1.trim_end_matches(['\n', '"']);
        last.parse().unwrap()
    };
    send(lab.pid(2), Signal::SIGTERM);
    assert_eq!(lab.agents[2].wait().unwrap().code(), Some(0));
    assert_eq!(lab.replicas().len(), 2);
    lab.agents[2] = lab.agent(2, port);
    // Up again already: this waits until all are.
    done(&lab, &["cluster", "up", "--on", "lab.toml"]);
    let status = wait_for("the replica to catch up", || {
        let status = lab.place.bench(&["cluster", "status"]);
        (status.stdout.matches(" equal ").count() == 3).then_some(status)
    });
    assert_eq!(status.code, Some(0), "{status:?}");
    assert_eq!(done(&lab, &["client", "get", "114"]).trim(), "515");
    let kept = lab.place.bench(&["cluster", "down", "--keep"]);
    assert_line(&kept, 2, &["--keep: the replicas of this cluster are on other hosts"]);
    done(&lab, &["cluster", "down"]);
    assert_eq!(lab.replicas(), Vec::<i32>::new());
    for host in 0..3 {
        assert_eq!(lab.clusters(host), Vec::<String>::new());
    }
}

/// A program in the place of ssh: it runs here what ssh would run there.
const SSH: &str = "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c \"$1\"\n";

#[test]
fn agents_that_ssh_starts_end_with_their_command() {
    let place = Place::new(TINY);
    assert_eq!(place.bench(&["keys", "new", "keys"]).code, Some(0));
    let bin = place.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("ssh"), SSH).unwrap();
    fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let free = |_| UdpSocket::bind("0.0.0.0:0").unwrap();
    let sockets: Vec<_> = (0..3).map(free).collect();
    let mut file = "keys = \"keys/driver\"\n".to_owned();
    for socket in &sockets {
        let port = socket.local_addr().unwrap().port();
        file.push_str(&format!("[[hosts]]\naddress = \"127.0.0.1:{port}\"\nssh = \"me@here\"\n"));
    }
    drop(sockets);
    fs::write(place.path().join("lab.toml"), file).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let bench = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.args(arguments).current_dir(place.path()).env("PATH", &path);
        let output = command.env("TMPDIR", place.path()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Ended { code: output.status.code(), stdout, stderr }
    };
    let run = bench(&["run", "w.toml", "--quiet", "--on", "lab.toml"]);
    assert!(matches!(run.code, Some(0 | 3)), "{run:?}");
    let row = &rows(&place.results().join("summary.csv"))[0];
    assert_eq!(cell(row, "linearizable"), "true", "{row:?}");
    let shown = bench(&["hosts", "--on", "lab.toml"]);
    assert_eq!(shown.code, Some(0), "the ports are free again: {shown:?}");
    let standing = bench(&["cluster", "up", "--on", "lab.toml"]);
    assert_line(&standing, 2, &["hosts[0]: ssh = \"me@here\": an agent that ssh starts ends with"]);
    fs::write(bin.join("ssh"), "#!/bin/sh\necho 'me@here: Permission denied' >&2\nexit 255\n")
        .unwrap();
    let refused = bench(&["run", "w.toml", "--on", "lab.toml"]);
    assert_line(&refused, 1, &["ssh me@here: me@here: Permission denied"]);
}

#[test]
fn what_cannot_be_used_is_said_in_a_line() {
    let place = Place::new(TINY);
    assert_eq!(place.bench(&["keys", "new", "keys"]).code, Some(0));
    assert_line(&place.bench(&["keys", "new", "keys"]), 2, &["keys: there are keys already"]);
    assert_eq!(place.bench(&["keys", "new", "--if-missing", "keys"]).code, Some(0));
    let on = |file: &str| {
        fs::write(place.path().join("lab.toml"), file).unwrap();
        place.bench(&["run", "w.toml", "--on", "lab.toml"])
    };
    assert_line(&on("keys = \"none\"\nhosts = []\n"), 2, &["lab.toml: hosts: none has the role"]);
    let one = "[[hosts]]\nname = \"r0\"\naddress = \"127.0.0.1:9\"\n";
    assert_line(&on(&format!("keys = \"none\"\n{one}")), 2, &["keys = \"none\": there is no such"]);
    let few = on(&format!("keys = \"keys/driver\"\n{one}"));
    assert_line(&few, 2, &["lab.toml: hosts: 1 have the role \"replica\", and a cluster of 3"]);
    let agents = on(&format!(
        "keys = \"keys/agent\"\n{one}{}{}",
        one.replace("r0", "r1"),
        one.replace("r0", "r2")
    ));
    assert_line(&agents, 2, &["keys/agent/driver.pem: cannot read"]);
    let simulated = place.bench(&["run", "w.toml", "--driver", "sim", "--on", "lab.toml"]);
    assert_line(&simulated, 2, &["--on: the simulator has no hosts"]);
    assert_line(&place.bench(&["hosts", "--on", "none.toml"]), 2, &["none.toml: "]);
    let keys = ["agent", "--keys", "none", "--data", "d", "--listen", "127.0.0.1:0"];
    assert_line(&place.bench(&keys), 2, &["none/cluster: cannot read the cluster's name"]);
    let used = fs::read_dir(place.path().join("results"));
    assert!(used.is_err(), "no results directory is made for it");
}
