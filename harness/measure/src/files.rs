//! CSV in and out. A file has its header from the start, so that a run without rows still says what its columns are.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::MeasureError;
use crate::rows::{CHECKED_COLUMNS, SummaryRow};
use crate::verdict::Checked;

/// A row type that is bound to a file of the results directory.
pub trait CsvRow: Serialize + DeserializeOwned + Default {
    /// The file's name.
    const FILE: &'static str;
    /// The columns that results of older versions may lack.
    const NEWER: &'static [&'static str] = &[];
}

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
        let mut table = Self { path, writer, swept };
        let mut header = columns::<T>();
        header.extend(table.swept.iter().cloned());
        header.extend(last.iter().map(|column| (*column).to_owned()));
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

    fn write(&mut self, row: &impl Serialize) -> Result<(), MeasureError> {
        self.writer.serialize(row).map_err(|error| MeasureError::new(&self.path, error))
    }

    fn flush(&mut self) -> Result<(), MeasureError> {
        self.writer.flush().map_err(|error| MeasureError::new(&self.path, error))
    }
}
