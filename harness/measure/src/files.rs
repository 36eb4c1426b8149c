//! CSV in and out. A file has its header from the start, so that a run without rows still says what its columns are.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    csv_row::CsvRow,
    error::MeasureError,
    rows::{CHECKED_COLUMNS, SummaryRow},
    verdict::Checked,
};

/// The columns of a row type, in order.
pub fn columns<T: CsvRow>() -> Vec<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.serialize(T::default()).expect("a row is flat and memory does not fail");
    let text = writer.into_inner().expect("memory does not fail");
    let mut reader = csv::Reader::from_reader(text.as_slice());
    reader.headers().expect("a header was just written").iter().map(str::to_owned).collect()
}

/// Reads every row of a file in the results directory `dir`.
///
/// # Errors
/// If the file or a column is missing, or a cell does not parse; the message names it.
pub fn read_rows<T: CsvRow>(dir: &Path) -> Result<Vec<T>, MeasureError> {
    let path = dir.join(T::FILE);
    let mut reader = open::<T>(&path)?;
    reader.deserialize().map(|row| row.map_err(|error| MeasureError::new(&path, error))).collect()
}

/// Writes a file of the results directory `dir` with all of its rows at once.
///
/// # Errors
/// If it cannot be written.
pub fn write_rows<T: CsvRow>(dir: &Path, rows: &[T]) -> Result<(), MeasureError> {
    Table::create::<T>(dir)?.append(rows)
}

/// Reads `summary.csv`, the columns included that follow those of every version: the swept keys' own, and how much was
/// checked.
///
/// # Errors
/// As [`read_rows`].
pub fn read_summary(dir: &Path) -> Result<Vec<SummaryRow>, MeasureError> {
    let path = dir.join(SummaryRow::FILE);
    let mut reader = open::<SummaryRow>(&path)?;
    let fail = |error: csv::Error| MeasureError::new(&path, error);
    let header = reader.headers().map_err(fail)?.clone();
    let known = columns::<SummaryRow>();
    let is_swept =
        |name: &str| !known.iter().any(|column| column == name) && !CHECKED_COLUMNS.contains(&name);
    reader
        .records()
        .map(|record| {
            let record = record.map_err(fail)?;
            let mut row: SummaryRow = record.deserialize(Some(&header)).map_err(fail)?;
            row.swept = header
                .iter()
                .zip(&record)
                .filter(|(name, _)| is_swept(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            row.checked = checked(&header, &record);
            Ok(row)
        })
        .collect()
}

/// How much was checked; none if a column is not there or empty.
fn checked(header: &csv::StringRecord, record: &csv::StringRecord) -> Option<Checked> {
    let cell = |column| {
        let at = header.iter().position(|name| name == column)?;
        record.get(at)?.parse().ok()
    };
    let [operations, reads, keys, operations_begun, keys_touched] = CHECKED_COLUMNS.map(cell);
    Some(Checked {
        operations: operations?,
        reads: reads?,
        keys: keys?,
        operations_begun: operations_begun?,
        keys_touched: keys_touched?,
    })
}

/// The cells under [`CHECKED_COLUMNS`].
fn checked_cells(checked: Option<Checked>) -> [Option<u64>; CHECKED_COLUMNS.len()] {
    let figures: [fn(Checked) -> u64; CHECKED_COLUMNS.len()] = [
        |checked| checked.operations,
        |checked| checked.reads,
        |checked| checked.keys,
        |checked| checked.operations_begun,
        |checked| checked.keys_touched,
    ];
    figures.map(|figure| checked.map(figure))
}

fn open<T: CsvRow>(path: &Path) -> Result<csv::Reader<File>, MeasureError> {
    let file = File::open(path).map_err(|error| {
        MeasureError::new(path, format!("{error}; is this a results directory?"))
    })?;
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(|error| MeasureError::new(path, error))?;
    let missing = |column: &String| {
        !T::NEWER.contains(&column.as_str()) && !header.iter().any(|name| name == column)
    };
    match columns::<T>().into_iter().find(missing) {
        None => Ok(reader),
        Some(missing) => Err(MeasureError::new(
            path,
            format!(
                "column {missing} is missing: edited, or written by another version; run it again"
            ),
        )),
    }
}

/// Which run a row is of: protocol, driver, point, repetition.
pub(crate) type RunKey = (String, String, String, u32);

/// Whether the rows of a run stay.
pub(crate) type Kept<'a> = dyn Fn(&RunKey) -> bool + 'a;

/// The rows of a file that may end amid one.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) header: Vec<String>,
    /// Each with where it begins, in bytes.
    pub(crate) rows: Vec<(u64, csv::StringRecord)>,
    /// Where the last of them ends.
    end: u64,
}

/// Reads the rows of a file up to the first that is not whole: its writer may have been killed.
pub(crate) fn whole_rows(path: &Path) -> Result<Rows, MeasureError> {
    let bytes = std::fs::read(path).map_err(|error| {
        MeasureError::new(path, format!("{error}; is this a results directory?"))
    })?;
    // A row without the end of its line may lack the end of its last cell.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[..whole]);
    let header = reader.headers().map_err(|error| MeasureError::new(path, error))?;
    let header: Vec<String> = header.iter().map(str::to_owned).collect();
    let (mut rows, mut end) = (Vec::new(), whole as u64);
    for record in reader.into_records() {
        let start = |record: &csv::StringRecord| record.position().map(csv::Position::byte);
        match record {
            Ok(record) if record.len() == header.len() => {
                rows.push((start(&record).unwrap_or_default(), record));
            }
            Ok(torn) => {
                end = start(&torn).unwrap_or_default();
                break;
            }
            Err(error) => {
                end = error.position().map_or(end, csv::Position::byte);
                break;
            }
        }
    }
    Ok(Rows { header, rows, end })
}

/// Which run a row is of; none if a column is missing.
pub(crate) fn run_of(header: &[String], record: &csv::StringRecord) -> Option<RunKey> {
    let cell = |column: &str| {
        let at = header.iter().position(|name| name == column)?;
        record.get(at).map(str::to_owned)
    };
    let repetition = cell("repetition")?.parse().ok()?;
    Some((cell("protocol")?, cell("driver")?, cell("point")?, repetition))
}

fn header<T: CsvRow>(swept: &[String], last: &[&str]) -> Vec<String> {
    let mut header = columns::<T>();
    header.extend(swept.iter().cloned());
    header.extend(last.iter().map(|column| (*column).to_owned()));
    header
}

/// Appends rows to one file; each call to [`Table::append`] reaches the file.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    writer: csv::Writer<File>,
    swept: Vec<String>,
}

impl Table {
    /// Creates the file of `T` in `dir` with its header.
    pub(crate) fn create<T: CsvRow>(dir: &Path) -> Result<Self, MeasureError> {
        Self::with_columns::<T>(dir, Vec::new(), &[])
    }

    /// Creates `summary.csv`: the columns of the swept keys follow the row's own, and how much was checked follows those.
    pub(crate) fn create_summary(dir: &Path, swept: Vec<String>) -> Result<Self, MeasureError> {
        Self::with_columns::<SummaryRow>(dir, swept, &CHECKED_COLUMNS)
    }

    fn with_columns<T: CsvRow>(
        dir: &Path,
        swept: Vec<String>,
        last: &[&str],
    ) -> Result<Self, MeasureError> {
        let path = dir.join(T::FILE);
        let writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_path(&path)
            .map_err(|error| MeasureError::new(&path, error))?;
        let header = header::<T>(&swept, last);
        let mut table = Self { path, writer, swept };
        table.write(&header)?;
        table.flush()?;
        Ok(table)
    }

    /// Appends rows.
    pub(crate) fn append<T: CsvRow>(&mut self, rows: &[T]) -> Result<(), MeasureError> {
        rows.iter().try_for_each(|row| self.write(row))?;
        self.flush()
    }

    /// Appends a row to a table made by [`Table::create_summary`].
    pub(crate) fn append_summary(&mut self, row: &SummaryRow) -> Result<(), MeasureError> {
        let value = |key: &String| {
            let swept = row.swept.iter().find(|(name, _)| name == key);
            swept.map_or(String::new(), |(_, value)| value.clone())
        };
        let swept: Vec<String> = self.swept.iter().map(value).collect();
        self.write(&(row, swept, checked_cells(row.checked)))?;
        self.flush()
    }

    /// Opens the file of `T` in `dir` to append to it, as [`Table::create`] made it. Rows of runs that are not `kept`, and
    /// what follows them, are cut off.
    pub(crate) fn reopen<T: CsvRow>(dir: &Path, kept: &Kept<'_>) -> Result<Self, MeasureError> {
        Self::reopen_columns::<T>(dir, Vec::new(), &[], kept)
    }

    /// The same of `summary.csv`.
    pub(crate) fn reopen_summary(
        dir: &Path,
        swept: Vec<String>,
        kept: &Kept<'_>,
    ) -> Result<Self, MeasureError> {
        Self::reopen_columns::<SummaryRow>(dir, swept, &CHECKED_COLUMNS, kept)
    }

    fn reopen_columns<T: CsvRow>(
        dir: &Path,
        swept: Vec<String>,
        last: &[&str],
        kept: &Kept<'_>,
    ) -> Result<Self, MeasureError> {
        let path = dir.join(T::FILE);
        let fail = |error: &dyn std::fmt::Display| MeasureError::new(&path, error);
        let rows = whole_rows(&path)?;
        if rows.header != header::<T>(&swept, last) {
            return Err(fail(
                &"has other columns: edited, or written by another version; run it anew",
            ));
        }
        let cut = rows
            .rows
            .iter()
            .find(|(_, record)| !run_of(&rows.header, record).is_some_and(|run| kept(&run)));
        let end = cut.map_or(rows.end, |(start, _)| *start);
        let file = File::options().append(true).open(&path).map_err(|error| fail(&error))?;
        file.set_len(end).map_err(|error| fail(&error))?;
        let writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        Ok(Self { path, writer, swept })
    }

    fn write(&mut self, row: &impl Serialize) -> Result<(), MeasureError> {
        self.writer.serialize(row).map_err(|error| MeasureError::new(&self.path, error))
    }

    fn flush(&mut self) -> Result<(), MeasureError> {
        self.writer.flush().map_err(|error| MeasureError::new(&self.path, error))
    }
}
