//! A matrix of sites, wherever it stands: in its own file, under its name, or in the workload that uses it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use protocols::ReplicaId;
use toml::Table;

use super::{
    not_toml,
    topology::{FOLDER, KEYS, WORKLOADS, read},
};
use crate::{error::LoadError, model::Workload, topology::Topology};

/// A matrix of sites and what its file says of clusters there.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteFile {
    /// The matrix.
    pub topology: Topology,
    /// The sizes of a workload's clusters, in its order; none if the matrix stands alone.
    pub replicas: Vec<usize>,
    /// The first leaders in a workload, in its order; none if the matrix stands alone.
    pub leaders: Vec<ReplicaId>,
}

impl SiteFile {
    /// Reads what `name` stands for: the file of a topology or of a workload if it ends in .toml, else the topology of
    /// this name in `workloads/topologies/` of the working directory.
    ///
    /// # Errors
    /// The first thing that is wrong, as one line.
    pub fn load(name: &str) -> Result<Self, LoadError> {
        let path = path_of(name);
        let file = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| {
            let remedy = format!(
                "cannot be read ({error}): `bench list` names the topologies, a file of your own ends in .toml"
            );
            LoadError::of_file(&file, remedy)
        })?;
        let table: Table = text.parse().map_err(|error| not_toml(&file, &text, &error))?;
        // No key of a topology is one of a workload, whose own table has no place at the top.
        if table.keys().any(|key| KEYS.contains(&key.as_str())) {
            let (file, _) = read(&path, &text, |_| 0.0)?;
            return Ok(Self { topology: file.topology, replicas: Vec::new(), leaders: Vec::new() });
        }
        let workload = Workload::load(&path, &[])?;
        let Some(network) = workload.network else {
            let remedy = "missing: name one, such as \"ec2-2013\", to have sites to compute with";
            return Err(LoadError::of_key(&file, "network.topology", None, remedy));
        };
        Ok(Self {
            topology: network.topology,
            replicas: workload.cluster.replicas.values().to_vec(),
            leaders: workload.cluster.leader.values().to_vec(),
        })
    }
}

fn path_of(name: &str) -> PathBuf {
    if name.ends_with(".toml") {
        return PathBuf::from(name);
    }
    Path::new(WORKLOADS).join(FOLDER).join(format!("{name}.toml"))
}
