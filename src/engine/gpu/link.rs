//! Shader files, and how one source is made of those that a kernel imports.
//!
//! Files are in the language of naga_oil, which editors know and a test holds them against: WGSL with `#define_import_path`,
//! `#import path::{names}`, `#ifdef`, `#else` and `#endif`. Here a file is taken whole, once, after what it imports; so names
//! stay what they are, in error messages and where buffers are bound by them. Lines stay lines, so that a fault is told in
//! its own file.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::context::Context;

/// What our kernels ask of an adapter beyond WebGPU, where it has it.
pub(super) const CAPABILITIES: Capabilities = Capabilities::MEMORY_DECORATION_COHERENT;

/// The attribute of buffers that invocations of a workgroup exchange data through.
const COHERENT: &str = "@coherent ";

/// A file of WGSL by its import path, or a kernel by its name.
type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal, $prefix:literal, [$($name:literal),* $(,)?]) => {
        &[$((
            concat!($prefix, $name),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $folder, $name, ".wgsl")),
        )),*]
    };
}

/// Kernels by their names: those for every adapter and for software ones, and those for hardware.
pub(super) const KERNELS: [&[File]; 2] = [EVERYWHERE, HARDWARE];

const EVERYWHERE: &[File] = files!(
    "",
    "",
    [
        "activate_signals",
        "adam",
        "decide",
        "dense_backward",
        "empty",
        "evaluate",
        "finish",
        "first_backward",
        "first_gradient",
        "first_norms",
        "fold",
        "gradient_norm",
        "head_backward",
        "head_gradient",
        "head_norms",
        "hidden_norms",
        "hidden_scores",
        "order",
        "reward",
        "rollout",
        "sites",
        "spread",
        "start",
        "sum_norms",
        "walk",
        "weigh",
        "weight_gradient",
    ]
);

const HARDWARE: &[File] = files!(
    "hardware/",
    "hardware_",
    ["backward", "dense_backward", "evaluate", "finish", "order", "rollout", "weight_gradient"]
);

pub(super) const LIBRARY: &[File] = files!(
    "lib/",
    "wgflow::",
    [
        "activation",
        "adam_rule",
        "backpropagated",
        "backward_product",
        "batch",
        "behaviour",
        "choice",
        "column",
        "constants",
        "deltas",
        "elementary",
        "filled",
        "forward_product",
        "gradient_product",
        "handed_back",
        "later",
        "layers",
        "ledger",
        "left_out",
        "masked_choice",
        "masked_choose",
        "members",
        "moments",
        "multiply",
        "object",
        "parameters",
        "part",
        "philox",
        "process",
        "product",
        "reduce",
        "rows",
        "score_product",
        "shape",
        "shared_layers",
        "shared_product",
        "shared_sites",
        "shared_walk",
        "signals",
        "single",
        "site_choose",
        "site_columns",
        "site_steps",
        "square",
        "steps_taken",
        "stepwise",
        "sum",
        "tile",
        "training",
        "walk",
        "walk_columns",
        "walk_steps",
        "weights",
        "whole",
        "wide",
        "work",
    ]
);

/// A source by its import path, where it is not a file of ours.
#[derive(Clone, Debug)]
pub(super) struct Supplied {
    pub path: &'static str,
    pub text: String,
    /// Where somebody else has written it: the lines that import what it may use.
    pub foreign: Option<&'static str>,
    /// Whether it needs no run-time checks.
    pub trusted: bool,
}

/// A whole source.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    text: String,
    definitions: Vec<String>,
    checked: bool,
    /// The files in it, each with its first line counted from 0.
    files: Vec<(usize, String)>,
}

/// The kernel `name` (or a text that is one) and all that it imports where `definitions` hold; `supplied` sources take the place
/// of files. What others have written comes first, so that compilers count its lines as its author does.
pub(super) fn link(name: &str, text: Option<&str>, definitions: &[&str], supplied: &[Supplied]) -> Linked {
    let text = text.or_else(|| find(&KERNELS.concat(), name)).unwrap_or_else(|| unreachable!("no kernel `{name}`"));
    let mut parts = Parts { definitions, supplied, list: Vec::new() };
    parts.add(name, text);
    let (foreign, ours): (Vec<_>, Vec<_>) = parts.list.into_iter().partition(|part| part.foreign);
    let trusts = |part: &Part| supplied.iter().any(|source| source.path == part.name && source.trusted);
    // What a process has written down may name columns that there are not.
    let follows = ours.iter().any(|part| part.name == "wgflow::walk");
    let mut linked = Linked {
        text: String::new(),
        definitions: definitions.iter().map(|name| (*name).into()).collect(),
        checked: follows || !foreign.iter().all(trusts),
        files: Vec::new(),
    };
    let mut line = 0;
    for part in foreign.into_iter().chain(ours) {
        linked.files.push((line, part.name));
        line += part.text.lines().count();
        linked.text.push_str(part.text.trim_end_matches('\n'));
        linked.text.push('\n');
    }
    linked
}

/// The text of a file.
pub(super) fn find(files: &[File], path: &str) -> Option<&'static str> {
    files.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// What a source is put together of.
struct Parts<'a> {
    definitions: &'a [&'a str],
    supplied: &'a [Supplied],
    list: Vec<Part>,
}

struct Part {
    /// Its import path, or the kernel's name.
    name: String,
    text: String,
    foreign: bool,
}

impl Parts<'_> {
    /// A file of ours after all that it imports.
    fn add(&mut self, name: &str, text: &str) {
        let text = preprocess(text, self.definitions);
        text.lines().filter_map(imported).for_each(|path| self.import(path));
        let code: Vec<_> = text.lines().map(|line| if line.starts_with('#') { "" } else { line }).collect();
        self.list.push(Part { name: name.into(), text: code.join("\n"), foreign: false });
    }

    /// What has this path, once.
    fn import(&mut self, path: &str) {
        if self.list.iter().any(|part| part.name == path) {
            return;
        }
        match self.supplied.iter().find(|source| source.path == path) {
            Some(Supplied { text, foreign: Some(imports), .. }) => {
                self.list.push(Part { name: path.into(), text: text.clone(), foreign: true });
                imports.lines().filter_map(imported).for_each(|path| self.import(path));
            }
            Some(Supplied { text, .. }) => self.add(path, text),
            None => self.add(path, find(LIBRARY, path).unwrap_or_else(|| unreachable!("no file declares `{path}`"))),
        }
    }
}

impl Linked {
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For an adapter that has coherent buffers, or one that needs none (Metal's barriers are for all of a device's memory).
    pub fn text_for(&self, context: &Context) -> String {
        if context.coherent { self.text.clone() } else { self.text.replace(COHERENT, "") }
    }

    /// What holds in it.
    pub fn definitions(&self) -> &[String] {
        &self.definitions
    }

    /// Whether somebody else has written a part of it, or what it reads, which run-time checks are for.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Import paths of what it is put together of, and the kernel's name.
    #[cfg(test)]
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(_, name)| name.as_str())
    }

    /// The module that it is, checked; or what is wrong with it, told in the lines of its files.
    pub fn read(&self) -> Result<(naga::Module, ModuleInfo), String> {
        let located = |place: Option<naga::SourceLocation>, message: String| match place {
            Some(place) => {
                let (file, line) = self.locate(place.line_number);
                format!("{file}:{line}: {message}")
            }
            None => message,
        };
        let text = &self.text;
        let module = naga::front::wgsl::parse_str(text)
            .map_err(|error| located(error.location(text), error.emit_to_string(text)))?;
        let mut validator = Validator::new(ValidationFlags::all(), CAPABILITIES);
        let info =
            validator.validate(&module).map_err(|error| located(error.location(text), error.emit_to_string(text)))?;
        Ok((module, info))
    }

    /// The file that a line of the source, counted from 1, comes from, and its number there.
    fn locate(&self, line: u32) -> (String, usize) {
        let line = (line as usize).saturating_sub(1);
        let (first, name) = self.files.iter().rfind(|(first, _)| *first <= line).expect("the first file begins at 0");
        let file = match name.strip_prefix("wgflow::") {
            Some(module) if find(LIBRARY, name).is_some() => format!("shaders/lib/{module}.wgsl"),
            // Whoever supplied it knows it by no other name.
            Some(module) => module.into(),
            None => format!("shaders/{}.wgsl", name.replacen("hardware_", "hardware/", 1)),
        };
        (file, line - first + 1)
    }
}

/// The path that a line imports from.
fn imported(line: &str) -> Option<&str> {
    let path = line.strip_prefix("#import ")?.trim();
    let module = path.split("::{").next().unwrap_or(path);
    // A single name follows its module as one more part of the path.
    Some(if module == path { path.rsplit_once("::").map_or(path, |(module, _)| module) } else { module })
}

/// A text with lines empty that stand where a definition does not hold, and those that ask for it.
fn preprocess(text: &str, definitions: &[&str]) -> String {
    let mut holds: Vec<bool> = Vec::new();
    let mut kept = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("#ifdef ") {
            holds.push(definitions.contains(&name.trim()));
        } else if line.trim() == "#else" {
            let last = holds.last_mut().expect("#else stands between #ifdef and #endif");
            *last = !*last;
        } else if line.trim() == "#endif" {
            holds.pop().expect("#endif ends an #ifdef");
        } else if holds.iter().all(|holds| *holds) {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}
