//! Histograms, load per replica, manifests and the CSV files of a run.
