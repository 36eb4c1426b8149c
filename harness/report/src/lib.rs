//! Terminal tables and plots, drawn from the CSV files of a run alone.
