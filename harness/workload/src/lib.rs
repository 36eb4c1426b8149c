//! Workload files: what is offered to a cluster, point by point, seeded.
