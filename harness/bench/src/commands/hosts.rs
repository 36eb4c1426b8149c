//! `bench hosts`: the hosts of a laboratory, and what is in the way of using them.

use std::{process::ExitCode, time::Duration};

use futures_util::future::join_all;
use node::{
    NodeError,
    agent::{
        lab::{Lab, LabHost},
        line::Driver,
        wire::Facts,
    },
};
use serde_json::{Value, json};

use crate::{
    cli::{Format, hosts::HostsArguments},
    commands::cluster::block_on,
    exit::{self, Failure},
    lab, output,
};

/// Chosen: enough for one of them to be undisturbed.
const PINGS: u32 = 20;

/// A host that answered.
struct Met {
    facts: Facts,
    /// The shortest of all.
    round_trip: Duration,
    /// Its clock of the time of day against ours, µs; it may be wrong by half a round trip.
    clock_us: i64,
}

pub(crate) fn run(arguments: &HostsArguments) -> Result<ExitCode, Failure> {
    let laboratory = lab::load(&arguments.on)?;
    let _agents = laboratory.start_agents()?;
    let lab = laboratory.lab;
    let met = block_on(async {
        let driver = lab::driver(&lab)?;
        let met = join_all(lab.hosts.iter().map(|host| meet(&driver, host))).await;
        lab::farewell(&driver).await;
        Ok(met)
    })?;
    match arguments.format {
        Format::Text => output::print(&text(&lab, &met))?,
        Format::Json => output::print(&format!("{:#}\n", document(&lab, &met)))?,
    }
    let failed = met.iter().any(Result::is_err);
    Ok(if failed { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
}

impl Met {
    /// By how much its clock may differ from what it seems to be: the stamp was made somewhere on
    /// the way there and back.
    fn clock_error_us(&self) -> u64 {
        u64::try_from(self.round_trip.as_micros().div_ceil(2)).unwrap_or(u64::MAX)
    }
}

async fn meet(driver: &Driver, host: &LabHost) -> Result<Met, NodeError> {
    let mut line = driver.connect(host).await?;
    let facts = line.facts().await?;
    let mut pings = Vec::new();
    for _ in 0..PINGS {
        pings.push(line.ping().await?);
    }
    line.leave().await?;
    let (round_trip, difference) =
        pings.into_iter().min_by_key(|(round_trip, _)| *round_trip).expect("there are pings");
    Ok(Met { facts, round_trip, clock_us: difference / 1_000 })
}

/// What keeps a host from being used as it should be.
fn in_the_way(met: &Met) -> Vec<String> {
    let mut ways = Vec::new();
    let Facts { receive_buffer_bytes, send_buffer_bytes, wanted_buffer_bytes, .. } = &met.facts;
    for (granted, setting) in
        [(receive_buffer_bytes, "net.core.rmem_max"), (send_buffer_bytes, "net.core.wmem_max")]
    {
        if granted < wanted_buffer_bytes {
            ways.push(format!(
                "UDP buffers of {} KiB, where replicas ask for {}: raise {setting} on the host",
                granted >> 10,
                wanted_buffer_bytes >> 10
            ));
        }
    }
    let standing = &met.facts.standing;
    if !standing.is_empty() {
        ways.push(format!("a standing cluster has a replica here: {}", standing.join(", ")));
    }
    ways
}

fn text(lab: &Lab, met: &[Result<Met, NodeError>]) -> String {
    let header = [
        "host",
        "agent at",
        "roles",
        "cores",
        "memory",
        "kernel",
        "round trip",
        "clock",
        "UDP buffers",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    let mut remarks = Vec::new();
    for (host, met) in lab.hosts.iter().zip(met) {
        let mut row = [const { String::new() }; 9];
        (row[0], row[1], row[2]) = (host.name.clone(), host.address.to_string(), roles(host));
        match met {
            Err(error) => remarks.push(error.to_string()),
            Ok(met) => {
                let of = &met.facts.host;
                row[3] = of.cores.map_or_else(String::new, |cores| cores.to_string());
                row[4] = of
                    .memory_bytes
                    .map_or_else(String::new, |bytes| format!("{} MiB", bytes >> 20));
                row[5] = of.kernel.clone().unwrap_or_default();
                row[6] = format!("{} µs", met.round_trip.as_micros());
                row[7] = format!("{:+} ± {} µs", met.clock_us, met.clock_error_us());
                let facts = &met.facts;
                row[8] = format!(
                    "{} KiB",
                    facts.receive_buffer_bytes.min(facts.send_buffer_bytes) >> 10
                );
                remarks.extend(
                    in_the_way(met).into_iter().map(|way| format!("host {}: {way}", host.name)),
                );
            }
        }
        rows.push(row);
    }
    let mut text = format!("{}\n\n{}", lab::build(), output::aligned(&rows));
    remarks.extend(of_one_machine(lab, met));
    if !remarks.is_empty() {
        text.push_str(&format!("\n{}\n", remarks.join("\n")));
    }
    text
}

/// Which hosts are one machine, a line for each that is several.
fn of_one_machine(lab: &Lab, met: &[Result<Met, NodeError>]) -> Vec<String> {
    let mut machines: Vec<(&str, Vec<&str>)> = Vec::new();
    for (host, met) in lab.hosts.iter().zip(met) {
        let Ok(met) = met else { continue };
        let boot = met.facts.boot_id.as_str();
        match machines.iter_mut().find(|(known, _)| *known == boot && !boot.is_empty()) {
            Some((_, names)) => names.push(&host.name),
            None => machines.push((boot, vec![&host.name])),
        }
    }
    let shared = machines.into_iter().filter(|(_, names)| names.len() > 1);
    shared
        .map(|(_, names)| format!("hosts {}: one machine, its CPUs are shared", names.join(", ")))
        .collect()
}

fn roles(host: &LabHost) -> String {
    let roles = [("replica", host.replica), ("load", host.load)];
    let has: Vec<&str> = roles.iter().filter(|(_, has)| *has).map(|(role, _)| *role).collect();
    has.join(", ")
}

fn document(lab: &Lab, met: &[Result<Met, NodeError>]) -> Value {
    let hosts = lab.hosts.iter().zip(met).map(|(host, met)| {
        let mut value = json!({
            "name": host.name,
            "address": host.address.to_string(),
            "replica": host.replica,
            "load": host.load,
        });
        let more = match met {
            Err(error) => json!({ "error": error.to_string() }),
            Ok(met) => json!({
                "host": met.facts.host,
                "boot_id": met.facts.boot_id,
                "round_trip_us": met.round_trip.as_secs_f64() * 1e6,
                "clock_us": met.clock_us,
                "clock_error_us": met.clock_error_us(),
                "receive_buffer_bytes": met.facts.receive_buffer_bytes,
                "send_buffer_bytes": met.facts.send_buffer_bytes,
                "in_the_way": in_the_way(met),
            }),
        };
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    });
    json!({ "build": lab::build().to_string(), "hosts": hosts.collect::<Vec<_>>() })
}
