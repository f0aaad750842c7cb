//! Which sizes of kernels an engine gets: those that a run began with, else those chosen by timing before, else on hardware
//! those that are chosen now.

mod choice;

use std::sync::OnceLock;

#[cfg(feature = "cli")]
pub(crate) use choice::list;
pub(crate) use choice::{Choice, Key, folder};

use crate::engine::EngineError;
use crate::engine::gpu::Tuned;

/// Seconds that timing at first use may take, compiling kernels not counted.
pub const SECONDS: f64 = 10.0;
/// Trajectories of the largest batch that is timed.
pub const LARGEST: usize = 4096;

/// Who is told that kernels are timed, and what is wrong with files: nobody where there is no command line.
static LISTENER: OnceLock<fn(&str)> = OnceLock::new();

/// From now on `tell` is told, unless somebody is already.
#[cfg(feature = "cli")]
pub fn listen(tell: fn(&str)) {
    LISTENER.get_or_init(|| tell);
}

fn tell(line: &str) {
    if let Some(tell) = LISTENER.get() {
        tell(line);
    }
}

/// The choice for an engine of this key. `kept` is the text of the choice that its run began with, which counts as long as the key
/// is the same; without `wanted` nothing is chosen, and without `hardware` nothing is timed, by `time`.
///
/// What goes wrong with files or with timing is told, and the engine runs as it would without.
pub fn choose(
    key: Key,
    (hardware, wanted): (bool, bool),
    kept: Option<&str>,
    time: impl FnOnce() -> Result<Tuned, EngineError>,
) -> Choice {
    let kept = kept.and_then(|text| serde_json::from_str::<Choice>(text).ok());
    if let Some(kept) = kept.filter(|kept| kept.key == key && kept.fault().is_none()) {
        return kept;
    }
    let folder = if wanted { folder() } else { None };
    if let Some(folder) = &folder {
        match Choice::read(folder, &key) {
            Ok(Some(choice)) => return choice,
            Ok(None) => {}
            Err(reason) => tell(&format!("warning: {reason}: it is not used")),
        }
    }
    if !(hardware && wanted) {
        return Choice { key, tiling: None };
    }
    tell(&format!(
        "timing kernels on {} for hidden layers of {:?}, once, {SECONDS} s at most and what it takes to compile them \
         (engine.tune = false goes without)",
        key.adapter, key.hidden
    ));
    match time() {
        Ok(Tuned { tiling, .. }) => {
            let choice = Choice { key, tiling: Some(tiling) };
            keep(&choice, folder.as_deref());
            choice
        }
        Err(error) => {
            tell(&format!("warning: kernels could not be timed, and run in the sizes suggested: {error}"));
            Choice { key, tiling: None }
        }
    }
}

/// Writes a choice down for later engines, where there is a folder for it.
fn keep(choice: &Choice, folder: Option<&std::path::Path>) {
    match folder {
        Some(folder) => {
            if let Err(error) = choice.write(folder) {
                tell(&format!("warning: {error}: kernels will be timed again"));
            }
        }
        None => tell("warning: there is no cache folder (XDG_CACHE_HOME or HOME): kernels will be timed again"),
    }
}
