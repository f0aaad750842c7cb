//! What a reader of results sees: pictures, tables and a self-contained HTML page.
//!
//! Data in, bytes out: nothing here knows of engines, targets or run directories. Pictures are PNG files, drawn with
//! a font that is part of the program; a [`Table`] renders itself for the terminal and as Markdown, CSV and HTML; a
//! [`Page`] puts both into one file that needs nothing else.

mod escape;
mod html;
mod pictures;
mod table;

pub use escape::escape;
pub use html::{Figure, Page, Section};
pub use pictures::{Bars, Chart, Content, Histogram, Panel, PictureError, Scatter, panels};
pub use table::{Align, Cell, Column, Table};
