//! Running the binary and looking at what it leaves.

#![allow(dead_code)] // every test file compiles this one by itself and uses a part of it

use std::path::Path;
use std::process::{Command, Output};

/// A command of the binary under test. No environment of the tester's chooses adapters, and nothing is timed on them.
pub fn wgflow(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgflow"));
    command.args(arguments).env_remove("WGFLOW_ADAPTER").env("WGFLOW_TUNE", "0");
    #[cfg(unix)]
    heed(&mut command, &[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1], libc::SIG_DFL);
    command
}

/// Sets what signals do to the command from its start on; without this the tester's shell decides, and one that starts
/// the tests in the background or under `nohup` has some ignored.
#[cfg(unix)]
pub fn heed(command: &mut Command, signals: &'static [i32], action: libc::sighandler_t) {
    use std::os::unix::process::CommandExt;
    let set = move || {
        // SAFETY: signal(2) may be called between fork and exec.
        let failed = signals.iter().any(|&signal| unsafe { libc::signal(signal, action) } == libc::SIG_ERR);
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) };
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str]) -> Output {
    wgflow(arguments).output().expect("the binary starts")
}

/// Runs the binary and demands success; returns standard output.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed: {errors}");
    String::from_utf8(output.stdout).expect("text on standard output")
}

/// Runs the binary, demands this exit code and every word in the message, and that nothing panicked.
pub fn refuse(code: i32, words: &[&str], arguments: &[&str]) {
    let output = run(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(!message.contains("panicked"), "{arguments:?}: {message}");
    for word in words {
        assert!(message.contains(word), "{arguments:?}: {message:?} does not say {word:?}");
    }
}

/// The bytes of every tensor of a run's checkpoint, by name: everything that later iterations depend on.
pub fn tensors(run: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(run.join("checkpoint.safetensors")).expect("a checkpoint");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a whole checkpoint");
    let mut tensors: Vec<_> = file.iter().map(|(name, view)| (name.to_string(), view.data().to_vec())).collect();
    tensors.sort();
    tensors
}

/// The policy's own among them.
pub fn policy_tensors(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tensors = tensors(run);
    tensors.retain(|(name, _)| name.starts_with("policy."));
    assert!(!tensors.is_empty(), "a checkpoint has policy tensors");
    tensors
}

/// A small experiment that takes well under a second an engine.
pub const SMALL: &str = "
seed = 3
[target]
kind = 'ising'
side = 3
coupling = 0.3
[policy]
hidden = [24, 16]
initialisation = 'fan_in'
[training]
iterations = 30
batch = 70
log_every = 5
[evaluation]
samples = 4096
";
