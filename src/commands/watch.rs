//! `wgflow watch`: serves the curves of runs to a browser on this machine.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context;

use super::{output, paths, signals};
use crate::config::ConfigError;
use crate::watch::Watch;

/// Shows curves, pictures and reports of runs in a browser, while they are trained and after
///
/// Serves a page on 127.0.0.1, to this machine alone, until Ctrl-C. It needs nothing from the network and writes nothing.
#[derive(clap::Args)]
pub struct Arguments {
    /// A run directory, the directory of a suite, or one with several runs in it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Port to serve on; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 7007)]
    port: u16,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { directory, port } = arguments;
    paths::existing_directory(directory, "the directory of a run or of a suite")?;
    let stop = signals::stop()?;
    let watch = match Watch::open(directory, *port) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let message = format!("port {port} of 127.0.0.1 is taken: choose another --port, or 0 for any free one");
            return Err(ConfigError::new(message).into());
        }
        opened => opened.with_context(|| format!("cannot serve {} on port {port}", directory.display()))?,
    };
    let address = watch.address().context("cannot tell the address that was taken")?;
    output::give(&format!("{} at http://{address}/ (Ctrl-C ends it)\n", directory.display()))?;
    Ok(watch.serve(&stop)?)
}
