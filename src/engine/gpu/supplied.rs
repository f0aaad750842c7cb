//! The WGSL that a target brings: checked by itself before it is put together with ours, so that what is wrong with it is
//! told in its own lines.

use naga::{AddressSpace, Module, Span, TypeInner};

use super::context::Context;
use super::kernel::Kernel;
use super::link::Linked;
use super::network::Network;
use super::source::{GUIDE, RULES, Sources, TARGET, USABLE_BY_GUIDES, USABLE_BY_RULES, USABLE_BY_TARGETS};
use super::stages::Forward;
use crate::engine::EngineError;
use crate::process::NO_ACTION;
use crate::targets::Target;

/// The kernel `reward` with the function `log_reward` that `source` defines.
///
/// # Errors
/// `Kernel` if the source does not compile, lacks the function, or declares what is not its own to declare.
pub(super) fn kernel(
    context: &Context,
    sources: &Sources,
    target: &dyn Target,
    source: &str,
) -> Result<Kernel, EngineError> {
    let contract = of_targets(target.sites(), target.values());
    let ours = sources.supplying(TARGET, &contract.stubs(), USABLE_BY_TARGETS).link("reward", &[]);
    contract.check(source, &[ours.text()]).map_err(|fault| {
        EngineError::Kernel(format!("the target's part of the kernel `reward` is not right: {fault}"))
    })?;
    sources.supplying(TARGET, source, USABLE_BY_TARGETS).kernel(context, "reward", &[])
}

fn of_targets(sites: usize, values: usize) -> Contract {
    Contract {
        usable: format!(
            "\nconst SITES = {sites}u;\nconst VALUES = {values}u;\n\
             fn value(trajectory: u32, site: u32) -> u32 {{ return 0u; }}\n\
             fn parameter(index: u32) -> f32 {{ return 0.0; }}\n"
        ),
        functions: &[("log_reward", "fn log_reward(trajectory: u32) -> f32")],
        inputs: "RewardKernel::parameters",
    }
}

/// Looks at the source of the process's rules, where it is not site filling.
///
/// # Errors
/// `Limit` if there is none, `Kernel` as for a target's source.
pub(super) fn check_process(sources: &Sources, network: &Network) -> Result<(), EngineError> {
    if network.filling.is_some() {
        return Ok(());
    }
    let process = &network.process;
    let Some(kernel) = process.kernel() else {
        let message = "the process has no WGSL (Process::kernel), without which a GPU cannot follow it: take \
                       engine.kind = \"cpu\"";
        return Err(EngineError::Limit(message.into()));
    };
    let numbers = [
        ("SITES", process.sites()),
        ("VALUES", process.values()),
        ("COLUMNS", process.columns()),
        ("ACTIONS", process.actions()),
        ("MAX_STEPS", process.max_steps()),
        ("NO_ACTION", NO_ACTION as usize),
    ];
    let constants: String = numbers.iter().map(|(name, number)| format!("const {name} = {number}u;\n")).collect();
    let contract = Contract {
        usable: format!(
            "\n{constants}struct Advance {{ column_a: u32, amount_a: f32, column_b: u32, amount_b: f32, ends: bool }}\n\
             fn process_state(trajectory: u32, word: u32) -> u32 {{ return 0u; }}\n\
             fn set_process_state(trajectory: u32, word: u32, value: u32) {{ }}\n"
        ),
        functions: if process.backward_actions() > 0 { RULES_OF_BOTH } else { &RULES_OF_BOTH[..3] },
        inputs: "Process::state_words",
    };
    // All kernels that the rules are part of.
    let stubbed = sources.supplying(RULES, &contract.stubs(), USABLE_BY_RULES);
    let mut ours = rollouts(&stubbed, network);
    ours.extend(["walk", network.set.finish().0].map(|name| stubbed.link(name, &[])));
    contract
        .check(&kernel.source, &ours.iter().map(Linked::text).collect::<Vec<_>>())
        .map_err(|fault| EngineError::Kernel(format!("the process's rules in WGSL are not right: {fault}")))
}

/// The rollout in every shape.
fn rollouts(sources: &Sources, network: &Network) -> Vec<Linked> {
    let variants = Forward::Rollout.variants(network).into_iter();
    variants.map(|(name, holding, _)| sources.link(name, holding)).collect()
}

/// Looks at the source of a guide, where there is one.
///
/// # Errors
/// `Limit` if it has none, `Kernel` as for a target's source.
pub(super) fn check_guide(sources: &Sources, network: &Network) -> Result<(), EngineError> {
    if network.filling.is_none() || network.process.guide().is_none() {
        return Ok(());
    }
    let Some(kernel) = &network.guide else {
        let message = "the target's guide has no WGSL (Guide::kernel), without which a GPU cannot follow it: take \
                       engine.kind = \"cpu\", or policy.guided = false";
        return Err(EngineError::Limit(message.into()));
    };
    let (sites, values) = (network.process.sites(), network.process.values());
    let contract = Contract {
        usable: format!(
            "\nconst SITES = {sites}u;\nconst VALUES = {values}u;\nconst UNFILLED = 0xffffffffu;\n\
             struct Filled {{ trajectory: u32, step: u32 }}\n\
             fn filled_value(filled: Filled, site: u32) -> u32 {{ return 0u; }}\n\
             fn guide_parameter(index: u32) -> f32 {{ return 0.0; }}\n"
        ),
        functions: &[("log_reward_increment", "fn log_reward_increment(filled: Filled, site: u32, value: u32) -> f32")],
        inputs: "GuideKernel::parameters",
    };
    let ours = rollouts(&sources.supplying(GUIDE, &contract.stubs(), USABLE_BY_GUIDES), network);
    contract
        .check(&kernel.source, &ours.iter().map(Linked::text).collect::<Vec<_>>())
        .map_err(|fault| EngineError::Kernel(format!("the guide in WGSL is not right: {fault}")))
}

/// What a process defines: the last two where the policy says P_B.
const RULES_OF_BOTH: &[(&str, &str)] = &[
    ("process_allows", "fn process_allows(trajectory: u32, action: u32) -> bool"),
    ("process_advance", "fn process_advance(trajectory: u32, action: u32) -> Advance"),
    ("process_value", "fn process_value(trajectory: u32, site: u32) -> u32"),
    ("process_allows_backward", "fn process_allows_backward(trajectory: u32, backward: u32) -> bool"),
    ("process_backward_of", "fn process_backward_of(action: u32) -> u32"),
];

/// What a supplied source may use, and has to define.
struct Contract {
    /// Declarations of what it may use.
    usable: String,
    /// Names and heads of the functions that it defines.
    functions: &'static [(&'static str, &'static str)],
    /// How it comes by what a buffer of its own would hold.
    inputs: &'static str,
}

impl Contract {
    /// Functions of the heads asked for that do nothing.
    fn stubs(&self) -> String {
        self.functions.iter().map(|(_, head)| stub(head)).collect()
    }

    /// Looks at `source` with nothing but what it may use; `ours` is what it will be put together with, stubs in its place.
    fn check(&self, source: &str, ours: &[&str]) -> Result<(), String> {
        let whole = format!("{source}{}", self.usable);
        let (first, _) = self.functions[0];
        let module = naga::front::wgsl::parse_str(&whole).map_err(|error| {
            let lines = error.labels().map(|(span, _)| span.location(&whole).line_number);
            numbered(lines.min(), error.message(), &error.emit_to_string_with_path(&whole, first))
        })?;
        let at = |span: Span, what: String| Err(format!("line {}: {what}", span.location(&whole).line_number));

        let read = |text: &&str| naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text));
        let ours = ours.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let wanted = |name: &str| self.functions.iter().any(|(function, _)| *function == name);
        let reserved: Vec<_> = ours.iter().flat_map(names).map(|(name, _)| name).collect();
        for (name, span) in names(&module) {
            // What it may use was put behind it.
            let its_own = span.to_range().is_some_and(|range| range.start < source.len());
            if its_own && !wanted(name) && reserved.contains(&name) {
                return at(span, format!("`{name}` is a name that wgflow uses: take another one"));
            }
        }
        for (handle, variable) in module.global_variables.iter() {
            if variable.binding.is_some() || !matches!(variable.space, AddressSpace::Private | AddressSpace::WorkGroup)
            {
                let name = variable.name.as_deref().unwrap_or_default();
                let what = format!("`{name}` is bound to a buffer: what it needs comes through {}", self.inputs);
                return at(module.global_variables.get_span(handle), what);
            }
        }
        if let Some((handle, _)) = module.overrides.iter().next() {
            let what = "an `override` is a constant that nobody sets: use `const`";
            return at(module.overrides.get_span(handle), what.into());
        }
        if let Some(entry) = module.entry_points.first() {
            return Err(format!("it has an entry point `{}` of its own: it is called as `{first}`", entry.name));
        }
        for (name, head) in self.functions {
            let found = module.functions.iter().find(|(_, function)| function.name.as_deref() == Some(name));
            let Some((handle, function)) = found else { return Err(format!("it does not define `{head}`")) };
            let stubs = ours.iter().flat_map(|own| own.functions.iter().map(move |(_, function)| (own, function)));
            let mut stubs = stubs.filter(|(_, function)| function.name.as_deref() == Some(name));
            let (own, expected) = stubs.next().expect("put there as a stub");
            if shape(&module, function) != shape(own, expected) {
                return at(module.functions.get_span(handle), format!("`{name}` must be `{head}`"));
            }
        }
        let mut validator = naga::valid::Validator::new(Default::default(), Default::default());
        validator.validate(&module).map(drop).map_err(|error| {
            let line = error.location(&whole).map(|location| location.line_number);
            numbered(line, &error.as_inner().to_string(), &error.emit_to_string_with_path(&whole, first))
        })
    }
}

/// The types of a function's arguments and of its result.
fn shape(module: &Module, function: &naga::Function) -> Vec<String> {
    let text = |ty| match &module.types[ty] {
        naga::Type { inner: TypeInner::Scalar(scalar), .. } => format!("{scalar:?}"),
        other => other.name.clone().unwrap_or_default(),
    };
    let result = function.result.as_ref().map_or(String::new(), |result| text(result.ty));
    function.arguments.iter().map(|argument| text(argument.ty)).chain([result]).collect()
}

/// A function with this head that returns a zero.
fn stub(head: &str) -> String {
    let result = head.rsplit("-> ").next().unwrap_or_default();
    format!("{head} {{ return {result}(); }}\n")
}

fn numbered(line: Option<u32>, message: &str, picture: &str) -> String {
    let line = line.map_or(String::new(), |line| format!("line {line}: "));
    format!("{line}{message}\n{picture}")
}

/// What a module declares, by name.
fn names(module: &Module) -> impl Iterator<Item = (&str, Span)> {
    let functions = module.functions.iter().map(|(handle, it)| (&it.name, module.functions.get_span(handle)));
    let variables =
        module.global_variables.iter().map(|(handle, it)| (&it.name, module.global_variables.get_span(handle)));
    let constants = module.constants.iter().map(|(handle, it)| (&it.name, module.constants.get_span(handle)));
    let types = module.types.iter().map(|(handle, it)| (&it.name, module.types.get_span(handle)));
    let named = functions.chain(variables).chain(constants).chain(types);
    let entries = module.entry_points.iter().map(|entry| (entry.name.as_str(), Span::UNDEFINED));
    named.filter_map(|(name, span)| Some((name.as_deref()?, span))).chain(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "const BLOCK = 64u;\nstruct Work { block: u32 }\n\
        @group(0) @binding(0) var<uniform> work: Work;\n\
        fn slot(step: u32) -> u32 { return step; }\n\
        fn log_reward(trajectory: u32) -> f32 { return 0.0; }\n\
        @compute @workgroup_size(BLOCK) fn reward() {}";

    fn fault(source: &str) -> String {
        of_targets(4, 3).check(source, &[OURS]).expect_err(source)
    }

    #[test]
    fn what_may_be_used_is_there_and_helpers_are_allowed() {
        let source = "// Pairs that agree.
            var<private> calls: u32;
            fn agree(a: u32, b: u32) -> f32 { return select(0.0, 1.0, a == b); }
            fn log_reward(trajectory: u32) -> f32 {
                var sum = 0.0;
                for (var site = 1u; site < SITES; site++) {
                    sum += agree(value(trajectory, site - 1u), value(trajectory, site));
                }
                calls++;
                return parameter(0u) * sum / f32(VALUES);
            }";
        assert_eq!(of_targets(4, 3).check(source, &[OURS]), Ok(()));
    }

    #[test]
    fn faults_are_told_in_the_lines_of_the_source() {
        let good = "fn log_reward(trajectory: u32) -> f32 { return 0.0; }";
        let cases = [
            ("\n\nfn log_reward(trajectory: u32) -> f32 {\n    return spin;\n}".to_string(), 4, "spin"),
            ("\nfn log_reward(trajectory: u32) -> f32 {\n return value(trajectory, 0u);\n}".into(), 2, "log_reward"),
            ("fn log_reward(trajectory: u32) -> f32 {\n    return 0.0\n}".into(), 3, "expected"),
            ("// Nothing\n\n<<< not WGSL >>>".into(), 3, "expected"),
            (
                format!("{good}\n@group(0) @binding(9) var<storage, read> mine: array<f32>;"),
                2,
                "RewardKernel::parameters",
            ),
            (format!("{good}\n\noverride mine: f32 = 1.0;"), 3, "const"),
            (format!("{good}\nfn slot(step: u32) -> u32 {{ return 2u; }}"), 2, "`slot` is a name that wgflow uses"),
            (format!("const BLOCK = 2u;\n{good}"), 1, "`BLOCK` is a name"),
            (format!("{good}\nstruct Work {{ mine: u32 }}\nvar<private> x: Work;"), 2, "`Work` is a name"),
            (format!("{good}\nvar<private> work: u32;"), 2, "`work` is a name"),
            (format!("\n{good}\nfn value(site: u32) -> u32 {{ return 0u; }}"), 3, "value"),
            (format!("{good}\nconst SITES = 5u;"), 2, "SITES"),
            ("\nfn log_reward(trajectory: u32) -> u32 { return 0u; }".into(), 2, "must be `fn log_reward("),
            ("fn log_reward(trajectory: i32) -> f32 { return 0.0; }".into(), 1, "must be `fn log_reward("),
            ("fn log_reward() -> f32 { return 0.0; }".into(), 1, "must be `fn log_reward("),
            ("fn log_reward(trajectory: u32) { }".into(), 1, "must be `fn log_reward("),
            (format!("{good}\n{good}"), 1, "redefinition"),
        ];
        for (source, line, word) in cases {
            let message = fault(&source);
            assert!(message.starts_with(&format!("line {line}: ")), "{source}\n{message}");
            assert!(message.contains(word), "{message}");
        }
        assert!(
            fault("fn reward_of(trajectory: u32) -> f32 { return 0.0; }").contains("does not define `fn log_reward(")
        );
        assert!(fault("").contains("does not define"));
        assert!(fault(&format!("{good} @compute @workgroup_size(1) fn mine() {{}}")).contains("entry point `mine`"));
        fault(&format!("{good} /* a comment without an end"));
    }
}
