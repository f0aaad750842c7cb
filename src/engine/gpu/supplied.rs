//! The WGSL that a target brings: checked by itself before it is put together with ours, so that what is wrong with it is
//! told in its own lines.

use naga::{AddressSpace, Module, ScalarKind, Span, TypeInner};

use super::context::Context;
use super::kernel::Kernel;
use super::source::{Sources, shader};
use crate::engine::EngineError;
use crate::targets::Target;

/// Ours that calls it.
const REWARD: &str = shader!("reward.wgsl");

/// What the target has to define.
const FUNCTION: &str = "log_reward";

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
    let ours = sources.assemble(&[REWARD]);
    check(source, &ours, target.sites(), target.values()).map_err(|fault| {
        EngineError::Kernel(format!("the target's part of the kernel `reward` is not right: {fault}"))
    })?;
    // It comes first, so that a compiler that finds still more counts its lines as its author does.
    Kernel::new(context, "reward", &format!("{source}\n{ours}"))
}

/// Looks at `source` with nothing but what it may use; `ours` is what it will be put together with.
fn check(source: &str, ours: &str, sites: usize, values: usize) -> Result<(), String> {
    let usable = format!(
        "\nconst SITES = {sites}u;\nconst VALUES = {values}u;\n\
         fn value(trajectory: u32, site: u32) -> u32 {{ return 0u; }}\n\
         fn parameter(index: u32) -> f32 {{ return 0.0; }}\n"
    );
    let whole = format!("{source}{usable}");
    let module = naga::front::wgsl::parse_str(&whole).map_err(|error| {
        let lines = error.labels().map(|(span, _)| span.location(&whole).line_number);
        numbered(lines.min(), error.message(), &error.emit_to_string_with_path(&whole, FUNCTION))
    })?;
    let at = |span: Span, what: String| Err(format!("line {}: {what}", span.location(&whole).line_number));

    let own = naga::front::wgsl::parse_str(&format!("{ours}\nfn {FUNCTION}(trajectory: u32) -> f32 {{ return 0.0; }}"))
        .map_err(|error| error.emit_to_string(ours))?;
    let reserved: Vec<_> = names(&own).map(|(name, _)| name).collect();
    for (name, span) in names(&module) {
        // What it may use was put behind it.
        let its_own = span.to_range().is_some_and(|range| range.start < source.len());
        if its_own && name != FUNCTION && reserved.contains(&name) {
            return at(span, format!("`{name}` is a name that wgflow uses: take another one"));
        }
    }
    for (handle, variable) in module.global_variables.iter() {
        if variable.binding.is_some() || !matches!(variable.space, AddressSpace::Private | AddressSpace::WorkGroup) {
            let name = variable.name.as_deref().unwrap_or_default();
            let what = format!("`{name}` is bound to a buffer: what it needs comes through RewardKernel::parameters");
            return at(module.global_variables.get_span(handle), what);
        }
    }
    if let Some((handle, _)) = module.overrides.iter().next() {
        return at(
            module.overrides.get_span(handle),
            "an `override` is a constant that nobody sets: use `const`".into(),
        );
    }
    if let Some(entry) = module.entry_points.first() {
        return Err(format!("it has an entry point `{}` of its own: it is called as `{FUNCTION}`", entry.name));
    }
    let wanted = format!("fn {FUNCTION}(trajectory: u32) -> f32");
    let found = module.functions.iter().find(|(_, function)| function.name.as_deref() == Some(FUNCTION));
    let Some((handle, function)) = found else { return Err(format!("it does not define `{wanted}`")) };
    let is = |ty, kind| {
        let inner = &module.types[ty].inner;
        matches!(inner, TypeInner::Scalar(scalar) if scalar.kind == kind && scalar.width == 4)
    };
    let takes = matches!(function.arguments.as_slice(), [one] if is(one.ty, ScalarKind::Uint));
    let gives = function.result.as_ref().is_some_and(|result| is(result.ty, ScalarKind::Float));
    if !takes || !gives {
        return at(module.functions.get_span(handle), format!("`{FUNCTION}` must be `{wanted}`"));
    }
    let mut validator = naga::valid::Validator::new(Default::default(), Default::default());
    validator.validate(&module).map(drop).map_err(|error| {
        let line = error.location(&whole).map(|location| location.line_number);
        numbered(line, &error.as_inner().to_string(), &error.emit_to_string_with_path(&whole, FUNCTION))
    })
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
        @compute @workgroup_size(BLOCK) fn reward() {}";

    fn fault(source: &str) -> String {
        check(source, OURS, 4, 3).expect_err(source)
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
        assert_eq!(check(source, OURS, 4, 3), Ok(()));
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
