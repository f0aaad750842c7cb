//! What GPUs, and what stands in for them, are called.

use std::fmt;

/// What an adapter runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU passed through to a virtual machine.
    Virtual,
    /// Unknown.
    Other,
    /// A CPU that pretends to be a GPU.
    Software,
}

impl AdapterKind {
    /// Whether it is anything but a processor that stands in for a GPU.
    pub fn is_hardware(self) -> bool {
        self != Self::Software
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Other => "other",
            Self::Software => "software",
        })
    }
}

/// An adapter as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterDescription {
    /// As its driver tells it.
    pub name: String,
    /// "Vulkan", "Metal", "DX12" or "OpenGL".
    pub backend: &'static str,
    /// What it runs on.
    pub kind: AdapterKind,
    /// Name and version of the driver, as far as it tells them.
    pub driver: String,
}

impl AdapterDescription {
    /// Whether every word of `text` occurs in the name, backend or driver, whatever the case.
    pub fn matches(&self, text: &str) -> bool {
        let own = self.to_string().to_lowercase();
        text.to_lowercase().split_whitespace().all(|word| own.contains(word))
    }
}

impl fmt::Display for AdapterDescription {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ({}, {}; {})", self.name, self.backend, self.kind, self.driver)
    }
}
