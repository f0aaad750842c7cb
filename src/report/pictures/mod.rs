//! Pictures as PNG files: line charts, histograms, and panels with heat maps, point clouds or tiles side by side.
//!
//! Any data makes a picture: what is not finite is left out, and where nothing is left the picture says so.

mod bars;
mod canvas;
mod chart;
mod frame;
mod histogram;
mod panels;
mod range;
mod scatter;

pub use bars::Bars;
pub use canvas::PictureError;
pub use chart::Chart;
pub use histogram::Histogram;
pub use panels::{Content, Panel, panels};
pub use scatter::Scatter;
