//! Signals that ask a training process to stop: it saves, and says how to go on.
//!
//! SIGINT (Ctrl-C), SIGTERM and SIGHUP ask for an end, SIGUSR1 for a stop to be followed by another start. A signal that
//! was ignored when the process started stays ignored: that is how `nohup` and a shell's `&` shield what they start.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::stop::{Reason, Stop};

/// The same signal again after this time is impatience, and ends the process at once. Sooner it is the same request, which
/// terminals and schedulers send several times; and another one is a scheduler's that goes through its list.
const TOGETHER: Duration = Duration::from_secs(1);

/// A request to stop that signals raise from now on.
pub fn stop() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    install(&stop).context("cannot install the handlers of signals")?;
    Ok(stop)
}

/// Has a file that would grow beyond `ulimit -f` be an error that names it, in place of the signal that ends the process.
pub fn outlive_file_limits() {
    #[cfg(unix)]
    // SAFETY: ignoring a signal runs no code of ours, and the process has one thread as yet.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(unix)]
fn install(stop: &Stop) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

    let heeded: Vec<i32> = [SIGINT, SIGTERM, SIGHUP, SIGUSR1].into_iter().filter(|signal| !ignored(*signal)).collect();
    let mut signals = signal_hook::iterator::Signals::new(heeded)?;
    let stop = stop.clone();
    let listen = move || {
        let mut impatience = Impatience::default();
        for signal in signals.forever() {
            if signal == SIGUSR1 {
                stop.raise(Reason::Resubmit);
                continue;
            }
            stop.raise(Reason::Interrupt);
            if impatience.shown_by(signal) {
                // Only an unknown signal is an error.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map(drop)
}

/// Whether the process was started with this signal ignored.
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    // SAFETY: all zeros is a value of the struct, and without a new action the call only fills it in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn install(stop: &Stop) -> Result<(), ctrlc::Error> {
    let stop = stop.clone();
    let mut impatience = Impatience::default();
    ctrlc::set_handler(move || {
        stop.raise(Reason::Interrupt);
        if impatience.shown_by(0) {
            std::process::exit(1);
        }
    })
}

/// When each signal came first.
#[derive(Default)]
struct Impatience(BTreeMap<i32, Instant>);

impl Impatience {
    /// Whether this signal came already, more than a moment ago.
    fn shown_by(&mut self, signal: i32) -> bool {
        self.0.entry(signal).or_insert_with(Instant::now).elapsed() > TOGETHER
    }
}
