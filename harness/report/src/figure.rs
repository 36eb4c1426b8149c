//! The figures that tables, comparisons and plots are made of: columns of the files.
//!
//! A column is named once, so that its value and whether it is a lower bound are always those of
//! one column.

use measure::{ReplicaRow, SummaryRow, TimeseriesRow};

use crate::numbers::Observed;

/// A row that says which of its columns are lower bounds.
pub(crate) trait Row {
    /// Is the figure in this column a lower bound?
    fn is_at_least(&self, column: &str) -> bool;
}

/// A figure of a row.
pub(crate) struct Column<R> {
    /// The column of the file.
    pub(crate) name: &'static str,
    value: fn(&R) -> Option<f64>,
}

impl<R> Clone for Column<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Column<R> {}

impl<R> std::fmt::Debug for Column<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<R: Row> Column<R> {
    /// A figure that is worked out from the column `name`.
    pub(crate) const fn new(name: &'static str, value: fn(&R) -> Option<f64>) -> Self {
        Self { name, value }
    }

    /// The figure of a row; `None` if it has none.
    pub(crate) fn of(self, row: &R) -> Option<Observed> {
        let value = (self.value)(row)?;
        Some(Observed { value, at_least: row.is_at_least(self.name) })
    }
}

macro_rules! rows {
    ($($row:ty),*) => {$(
        impl Row for $row {
            fn is_at_least(&self, column: &str) -> bool {
                // The row's own method of this name comes first.
                self.is_at_least(column)
            }
        }
    )*};
}

rows!(SummaryRow, ReplicaRow, TimeseriesRow);

macro_rules! columns {
    ($row:ty: $($name:ident = $field:ident;)*) => {$(
        pub(crate) const $name: Column<$row> = Column::new(stringify!($field), |row| row.$field);
    )*};
}

columns! {SummaryRow:
    OFFERED = offered_ops_per_s;
    THROUGHPUT = throughput_ops_per_s;
    OPS_PER_CPU_S = ops_per_cpu_s;
    SERVER_CPU = server_cpu_s;
    CLIENT_CPU = client_cpu_s;
    FAST_PATH = fast_path_ratio;
    LATENCY_MEAN = latency_us_mean;
    LATENCY_P50 = latency_us_p50;
    LATENCY_P90 = latency_us_p90;
    LATENCY_P99 = latency_us_p99;
    LATENCY_P999 = latency_us_p999;
    LATENCY_MAX = latency_us_max;
    SERVICE_P50 = service_us_p50;
    SERVICE_P99 = service_us_p99;
    COMMIT_P50 = commit_us_p50;
    COMMIT_P99 = commit_us_p99;
    EXECUTE_P50 = execute_us_p50;
    EXECUTE_P99 = execute_us_p99;
    GENERATOR_LAG_P99 = generator_lag_us_p99;
}

/// The columns of `replicas.csv`.
pub(crate) mod of_replica {
    use super::{Column, ReplicaRow};

    columns! {ReplicaRow:
        COMMIT_P50 = commit_us_p50;
        COMMIT_P99 = commit_us_p99;
        EXECUTE_P50 = execute_us_p50;
        EXECUTE_P99 = execute_us_p99;
    }
}

/// The columns of `timeseries.csv`.
pub(crate) mod over_time {
    use super::{Column, TimeseriesRow};

    columns! {TimeseriesRow:
        LATENCY_P50 = latency_us_p50;
        LATENCY_P99 = latency_us_p99;
        LATENCY_MAX = latency_us_max;
        COMMIT_P50 = commit_us_p50;
        COMMIT_P99 = commit_us_p99;
        COMMIT_MAX = commit_us_max;
        EXECUTE_P50 = execute_us_p50;
        EXECUTE_P99 = execute_us_p99;
        EXECUTE_MAX = execute_us_max;
    }

    /// Operations per second of the row's own time, which is shorter in the last one.
    pub(crate) const RATE: Column<TimeseriesRow> = Column::new("operations", |row| {
        #[expect(clippy::cast_precision_loss, reason = "operations in a tenth of a second")]
        let operations = row.operations as f64;
        let width_s = row.width_s();
        (width_s > 0.0).then(|| operations / width_s)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_lower_bound_where_its_own_column_is() {
        let row = SummaryRow {
            latency_us_p50: Some(1.0),
            latency_us_p99: Some(9.0),
            at_least: "latency_us_p99 latency_us_max".to_owned(),
            ..SummaryRow::default()
        };
        let of = |column: Column<SummaryRow>| column.of(&row).map(|of| (of.value, of.at_least));
        assert_eq!(of(LATENCY_P50), Some((1.0, false)));
        assert_eq!(of(LATENCY_P99), Some((9.0, true)));
        assert_eq!(of(LATENCY_MAX), None, "a bound without a figure is none");
        assert_eq!(LATENCY_P999.name, "latency_us_p999");
        let row = ReplicaRow {
            commit_us_p99: Some(2.0),
            at_least: "commit_us_p99".to_owned(),
            ..ReplicaRow::default()
        };
        assert!(of_replica::COMMIT_P99.of(&row).is_some_and(|of| of.at_least));
    }

    #[test]
    fn a_rate_is_over_the_rows_own_time() {
        let row = |width_ms| TimeseriesRow { operations: 100, width_ms, ..Default::default() };
        let rate = |width_ms| over_time::RATE.of(&row(width_ms)).map(|of| of.value);
        assert_eq!(rate(Some(50.0)), Some(2_000.0));
        assert_eq!(rate(None), Some(1_000.0), "older results have whole buckets alone");
        assert_eq!(rate(Some(0.0)), None);
    }
}
