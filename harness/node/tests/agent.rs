//! Who is obeyed by an agent: drivers of its lab, of the same build, one at a time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::{fs, net::SocketAddr, path::Path, rc::Rc};

use common::block_on;
use node::{
    agent::{
        self, AgentOptions,
        lab::LabHost,
        line::Driver,
        wire::{Build, Files, Order, Which},
    },
    identity::{Identity, Role, create_lab},
    transport::{Dialer, free_addresses},
};
use protocols::ReplicaId;
use tempfile::TempDir;
use tokio::task::spawn_local;

/// A lab with one agent, which is a task of the test.
struct Lab {
    directory: TempDir,
    address: SocketAddr,
}

impl Lab {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        create_lab(&directory.path().join("keys")).unwrap();
        let address = free_addresses(1).unwrap()[0];
        let options = AgentOptions {
            listen: address,
            keys: directory.path().join("keys/agent"),
            data: directory.path().join("data"),
            ports: None,
            build: build(),
        };
        let never = std::future::pending();
        spawn_local(async move { agent::serve(&options, never).await.unwrap() });
        Self { directory, address }
    }

    fn keys(&self) -> std::path::PathBuf {
        self.directory.path().join("keys/driver")
    }

    fn host(&self) -> LabHost {
        LabHost { name: "h".to_owned(), address: self.address.into(), replica: true, load: false }
    }

    async fn refusal(&self, keys: &Path, build: Build) -> String {
        let driver = Driver::new(keys, build).unwrap();
        let text = driver.connect(&self.host()).await.unwrap_err().to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("host h: "), "{text}");
        text
    }
}

fn build() -> Build {
    Build::new("1.2.3", "0123456789abcdef")
}

#[test]
fn an_agent_answers_its_driver() {
    block_on(async {
        let lab = Lab::start().await;
        let driver = Driver::new(&lab.keys(), build()).unwrap();
        let mut line = driver.connect(&lab.host()).await.unwrap();
        let facts = line.facts().await.unwrap();
        assert!(!facts.boot_id.is_empty() && facts.host.cores.is_some());
        assert!(facts.receive_buffer_bytes > 0 && facts.standing.is_empty());
        line.ping().await.unwrap();
        let sample = line.sample().await.unwrap();
        assert_eq!(sample.boot_id, facts.boot_id);
        assert!(sample.cpu.is_some() && sample.own_s.is_some());
        assert_ne!(line.port(false).await.unwrap(), 0);
        // What is not there is said to be so, and the line lives on.
        let which = Which { cluster: "none".to_owned(), replica: ReplicaId(0) };
        let refused = line.order(&Order::Kill(which)).await.unwrap_err().to_string();
        assert_eq!(refused, "host h: replica 0 of none is not here");
        let outside = line.log("../../keys/driver", ReplicaId(0)).await.unwrap_err().to_string();
        assert!(outside.contains("is no name of a cluster"), "{outside}");
        let outside = line.end("..", std::time::Duration::ZERO, Files::Removed).await.unwrap_err();
        assert!(outside.to_string().contains("is no name of a cluster"), "{outside}");
        assert!(lab.keys().join("driver.key").exists());
        line.ping().await.unwrap();
    });
}

#[test]
fn strangers_are_refused_in_a_line() {
    block_on(async {
        let lab = Lab::start().await;
        let other = tempfile::tempdir().unwrap();
        create_lab(other.path()).unwrap();
        let foreign = lab.refusal(&other.path().join("driver"), build()).await;
        assert!(foreign.contains("no agent of this lab answers"), "{foreign}");
        for build in [Build::new("1.2.4", "0123456789abcdef"), Build::new("1.2.3", "another")] {
            let said = lab.refusal(&lab.keys(), build.clone()).await;
            assert!(said.contains("version 1.2.3 of commit 0123456789 (orders 1)"), "{said}");
            assert!(said.contains(&build.to_string()), "{said}");
        }
        // An agent's key is no driver's, though its lab's authority has signed it.
        let agents = Identity::load(&lab.directory.path().join("keys/agent"), Role::Agent).unwrap();
        assert!(Driver::new(&lab.directory.path().join("keys/agent"), build()).is_err());
        let disguised = other.path().join("disguised");
        fs::create_dir(&disguised).unwrap();
        for (from, to) in [
            ("cluster", "cluster"),
            ("authority.pem", "authority.pem"),
            ("agent.pem", "driver.pem"),
            ("agent.key", "driver.key"),
        ] {
            let from = lab.directory.path().join("keys/agent").join(from);
            fs::copy(from, disguised.join(to)).unwrap();
        }
        let said = lab.refusal(&disguised, build()).await;
        assert!(
            said.contains("obeys a driver's certificate alone, and this is an agent"),
            "{said}"
        );
        drop(agents);
    });
}

#[test]
fn a_second_driver_waits_for_its_turn() {
    block_on(async {
        let lab = Rc::new(Lab::start().await);
        let driver = Driver::new(&lab.keys(), build()).unwrap();
        let line = driver.connect(&lab.host()).await.unwrap();
        let second = Driver::new(&lab.keys(), build()).unwrap();
        let refused = second.connect(&lab.host()).await.unwrap_err().to_string();
        assert!(refused.contains("obeys the driver with process id"), "{refused}");
        assert!(refused.contains("no second driver beside it"), "{refused}");
        drop(line);
        // The same process may come again at once.
        let mut line = second.connect(&lab.host()).await.unwrap();
        line.ping().await.unwrap();
    });
}

#[test]
fn nobody_there_is_said_so_by_name() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        create_lab(directory.path()).unwrap();
        let driver = Driver::new(&directory.path().join("driver"), build()).unwrap();
        let host = |name: &str, address: &str| LabHost {
            name: name.to_owned(),
            address: address.parse().unwrap(),
            replica: true,
            load: false,
        };
        let port = free_addresses(1).unwrap()[0].port();
        let hosts = [
            host("silent", &format!("127.0.0.1:{port}")),
            host("unknown", "no-such-host.invalid:7000"),
        ];
        let error = driver.connect_all(&[&hosts[0], &hosts[1]]).await.unwrap_err().to_string();
        assert!(
            error.contains("host silent: no agent of this lab answers at 127.0.0.1:"),
            "{error}"
        );
        assert!(error.contains("; host unknown: no-such-host.invalid:7000: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    });
}

/// A connection that never says who it is takes no place for ever, and keeps no driver away.
#[test]
fn a_silent_connection_keeps_nobody_away() {
    block_on(async {
        let lab = Lab::start().await;
        let identity = Identity::load(&lab.keys(), Role::Driver).unwrap();
        let dialer = Dialer::new(&identity).unwrap();
        let silent = dialer.dial(ReplicaId(0), lab.address, &()).await;
        assert!(silent.is_err(), "an agent is no replica");
        let driver = Driver::new(&lab.keys(), build()).unwrap();
        driver.connect(&lab.host()).await.unwrap().ping().await.unwrap();
    });
}
