//! Plots in SVG and PNG.
//!
//! The modules that know the data ([`cdf`], [`sweep`], [`load`], [`bottleneck`], [`timeline`],
//! [`returns`]) each build [`model::Figure`]s, which are plain data; [`render`] draws any figure
//! onto any backend through [`canvas`]. So SVG and PNG cannot differ, and what is in a figure can
//! be tested without looking at pixels.

pub(crate) mod axis;
mod bottleneck;
mod canvas;
mod cdf;
mod load;
pub(crate) mod look;
pub(crate) mod model;
mod render;
mod returns;
mod sweep;
mod timeline;

use std::{
    fs,
    path::{Path, PathBuf},
};

use plotters::prelude::{BitMapBackend, IntoDrawingArea, SVGBackend};

use self::{canvas::Lift, model::Figure};
use crate::{error::ReportError, results::Results};

/// What drawing left behind.
#[derive(Debug)]
pub struct Drawn {
    /// The files in the order drawn.
    pub files: Vec<PathBuf>,
    /// What was left out of the directory and could not be drawn, in a line; `None` if nothing was.
    pub left_out: Option<String>,
}

/// Redraws every plot that the results in `dir` support, into `dir/plots/`, each as SVG and PNG.
///
/// # Errors
/// If a file of the results is missing or not what it should be, no run ended, or a plot cannot be written.
pub fn draw_all(dir: &Path) -> Result<Drawn, ReportError> {
    let results = Results::read(dir)?;
    canvas::register_fonts();
    let folder = dir.join("plots");
    fs::create_dir_all(&folder).map_err(|error| ReportError::draw(&folder, error))?;
    let mut files = Vec::new();
    for figure in figures(&results) {
        files.extend(save(&folder, &figure)?);
    }
    Ok(Drawn { files, left_out: results.absent_text() })
}

/// Every figure that the results support, as data.
pub(crate) fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    figures.extend(sweep::figures(results));
    figures.extend(cdf::figures(results));
    figures.extend(load::figures(results));
    figures.extend(bottleneck::figures(results));
    figures.extend(timeline::figures(results));
    figures.extend(returns::figures(results));
    figures
}

fn save(folder: &Path, figure: &Figure) -> Result<[PathBuf; 2], ReportError> {
    let size = render::size(figure);
    let svg = folder.join(format!("{}.svg", figure.stem));
    let area = SVGBackend::new(&svg, size).into_drawing_area();
    render::draw(&area, Lift::SVG, figure).map_err(|error| ReportError::draw(&svg, error))?;
    drop(area);
    let png = folder.join(format!("{}.png", figure.stem));
    let area = BitMapBackend::new(&png, size).into_drawing_area();
    render::draw(&area, Lift::BITMAP, figure).map_err(|error| ReportError::draw(&png, error))?;
    drop(area);
    Ok([svg, png])
}
