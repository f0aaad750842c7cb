//! Looking for adapters writes nothing to standard error, on whatever machine: neither in the command line nor in a program
//! that uses the library, and without a variable of the environment that switches something off.

use std::process::{Command, Output};

use wgflow::engine::gpu;

/// Runs a program as a machine without a Wayland server would, in the plainest environment.
fn alone(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    for name in ["NODEVICE_SELECT", "MESA_VK_DEVICE_SELECT", "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY"] {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the program starts")
}

/// What the program found, and that it was quiet about it.
fn quietly(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The child of the test below, and a test that there is an adapter.
#[test]
fn lists_adapters() {
    let adapters = gpu::adapters(false);
    assert!(!adapters.is_empty(), "to run the GPU tests, install the package mesa-vulkan-drivers");
    adapters.iter().for_each(|adapter| println!("{adapter}"));
}

#[test]
fn the_library_and_the_command_line_are_quiet() {
    let this = std::env::current_exe().unwrap();
    let output = alone(this.to_str().unwrap(), &["--exact", "lists_adapters", "--nocapture"]);
    let library = quietly(&output);
    let command = quietly(&alone(env!("CARGO_BIN_EXE_wgflow"), &["adapters"]));
    for adapter in gpu::adapters(false) {
        assert!(library.contains(&adapter.to_string()), "{library}");
        assert!(command.contains(&adapter.name), "{command}");
    }
}
