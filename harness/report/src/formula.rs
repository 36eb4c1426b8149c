//! Simulated commit latencies beside what formulas say of them, as `formulas.csv` has them.

use std::path::Path;

use measure::{CsvRow, FormulaRow, read_rows};

use crate::{error::ReportError, figure::of_replica, results::Results};

/// A row of the file.
#[derive(Debug)]
pub(crate) struct Formula {
    pub(crate) row: FormulaRow,
    /// What the median is at least, in nanoseconds, if it is a lower bound: not all that the site's replica was asked for was
    /// committed, and the median of the row is of what was.
    pub(crate) at_least_ns: Option<u64>,
}

impl Results {
    /// Commit latencies beside their formulas; none but of simulations between sites.
    ///
    /// # Errors
    /// If the file is not what it should be.
    pub(crate) fn formulas(&self, dir: &Path) -> Result<Vec<Formula>, ReportError> {
        if !dir.join(FormulaRow::FILE).exists() {
            return Ok(Vec::new());
        }
        let rows: Vec<FormulaRow> = read_rows(dir)?;
        let mut formulas: Vec<Formula> = Vec::new();
        for row in rows {
            // The sites of a cluster stand in the order of its replicas.
            let is_beside =
                |of: &&Formula| (&of.row.protocol, &of.row.point) == (&row.protocol, &row.point);
            let replica = formulas.iter().filter(is_beside).count();
            let at_least_ns = self.commit_at_least_ns(&row, replica);
            formulas.push(Formula { row, at_least_ns });
        }
        Ok(formulas)
    }

    fn commit_at_least_ns(&self, row: &FormulaRow, replica: usize) -> Option<u64> {
        let cell = self.cell(&row.point, &row.protocol)?;
        let median = self.spread_of_replica(&cell, replica, of_replica::COMMIT_P50)?;
        #[expect(clippy::cast_possible_truncation, reason = "a time within a run")]
        #[expect(clippy::cast_sign_loss, reason = "a latency")]
        median.at_least.median.then_some((median.median * 1e3).round() as u64)
    }
}
