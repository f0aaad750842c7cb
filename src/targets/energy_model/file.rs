//! Energy models in safetensors files, under the names of a PyTorch `nn.Sequential(Linear, ELU, Linear, ...)`.
//!
//! The names are `energy.0.weight`, `energy.0.bias`, `energy.2.weight` and so on, or without `energy.` where no tensor has
//! it; what PyTorch's wrappers put into names is passed over.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::network::Layout;

/// What the names of an energy model's tensors begin with.
pub const PREFIX: &str = "energy";

/// What `DataParallel` and `torch.compile` put into names.
const WRAPPERS: [&str; 2] = ["module", "_orig_mod"];

/// Most names that a message lists.
const LISTED: usize = 12;

/// Why a file is not an energy model's: a sentence that names the file and, where one is at fault, the tensor, what was found and
/// what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EnergyFileError(String);

/// The parameters in a file, in the order of `layout`.
///
/// Tensors are F32, F64, F16 or BF16, weights [out, in]; numbers are rounded to f32, as checkpoints hold them, so that a run
/// and what is resumed of it have the same energy. Tensors under other prefixes are passed over.
///
/// # Errors
/// If the file cannot be read, or its tensors are not those of the layout.
pub fn load(path: &Path, layout: &Layout) -> Result<Vec<f64>, EnergyFileError> {
    parameters(path, layout).map_err(EnergyFileError)
}

fn parameters(path: &Path, layout: &Layout) -> Result<Vec<f64>, String> {
    let place = path.display();
    let bytes = fs::read(path).map_err(|error| format!("cannot read the energy model {place}: {error}"))?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| format!("{place} is not a whole and well-formed safetensors file: {error}"))?;
    let found = known_names(tensors.names()).map_err(|reason| format!("{place} {reason}"))?;
    let (has, expected) = (listing(tensors.names()), layout.tensors(PREFIX));
    let foreign = |name: &&String| expected.iter().all(|(known, ..)| known != *name);
    if let Some(name) = found.keys().find(foreign).map(|name| found[name]) {
        let widths = layout.widths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "{place} has a tensor `{name}`, which an energy model of widths {widths} has not; it has {has}"
        ));
    }
    let mut parameters = Vec::with_capacity(layout.parameters());
    for (name, shape, _) in expected {
        let Some(original) = found.get(&name) else {
            return Err(format!("{place} has no tensor `{name}`, which should have the shape {shape:?}; it has {has}"));
        };
        let tensor = tensors.tensor(original).map_err(|error| format!("{place}: tensor `{original}`: {error}"))?;
        if tensor.shape() != shape {
            return Err(format!("{place}: tensor `{original}` has the shape {:?}, expected {shape:?}", tensor.shape()));
        }
        let values = numbers(&tensor).ok_or_else(|| {
            let expected = "F32, F64, F16 or BF16";
            format!("{place}: tensor `{original}` is of type {}, expected {expected}", tensor.dtype())
        })?;
        let rounded: Vec<f64> = values.iter().map(|&value| f64::from(value as f32)).collect();
        if let Some(index) = rounded.iter().position(|value| !value.is_finite()) {
            let found = values[index];
            let fault = if found.is_finite() { "which is beyond what f32 holds" } else { "not a number" };
            return Err(format!("{place}: tensor `{original}` has {found} at index {index}, {fault}"));
        }
        parameters.extend(rounded);
    }
    Ok(parameters)
}

/// An energy model's tensors, by the names of a [`Layout`]: what each is called in the file.
fn known_names(names: Vec<&str>) -> Result<BTreeMap<String, &str>, String> {
    let plain = |name: &str| name.split('.').filter(|part| !WRAPPERS.contains(part)).collect::<Vec<_>>().join(".");
    let prefix = format!("{PREFIX}.");
    let bare = !names.iter().any(|name| plain(name).starts_with(&prefix));
    let mut known = BTreeMap::new();
    for name in names {
        let mut plain = plain(name);
        if bare && plain.starts_with(|first: char| first.is_ascii_digit()) {
            plain.insert_str(0, &prefix);
        }
        if !plain.starts_with(&prefix) {
            continue;
        }
        if let Some(other) = known.insert(plain, name) {
            return Err(format!("has two tensors of one meaning, `{other}` and `{name}`"));
        }
    }
    Ok(known)
}

/// The first names in the order of the alphabet, for people.
fn listing(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    let listed: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "no tensors".into(),
        count if count > LISTED => format!("{} and {} more", listed.join(", "), count - LISTED),
        _ => listed.join(", "),
    }
}

/// The numbers of a tensor; none if it is of none of the types that an energy model may have.
fn numbers(tensor: &TensorView) -> Option<Vec<f64>> {
    fn read<const SIZE: usize>(bytes: &[u8], number: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
        bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
    }
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Some(read(bytes, |bytes| f32::from_le_bytes(bytes).into())),
        Dtype::F64 => Some(read(bytes, f64::from_le_bytes)),
        Dtype::F16 => Some(read(bytes, |bytes| f16::from_le_bytes(bytes).to_f64())),
        Dtype::BF16 => Some(read(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64())),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::{Initialisation, initialise};
    use crate::random::Stream;

    fn setting() -> (tempfile::TempDir, Layout, Vec<f64>) {
        let layout = Layout::new(6, &[4, 3], 1);
        let parameters = initialise(&layout, Initialisation::FanIn, 1, Stream::EnergyInitialisation);
        (tempfile::tempdir().expect("a directory"), layout, parameters)
    }

    fn write(path: &Path, tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>) {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes of the right number"))
        });
        fs::write(path, safetensors::serialize(views, None).expect("a file")).expect("written");
    }

    /// Writes `parameters`, in the order of `layout`, as F32.
    pub fn save(path: &Path, layout: &Layout, parameters: &[f64]) {
        let tensors = layout.tensors(PREFIX).into_iter().map(|(name, shape, range)| {
            let bytes = parameters[range].iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
            (name, Dtype::F32, shape, bytes)
        });
        write(path, tensors.collect());
    }

    #[test]
    fn loaded_to_the_bit() {
        let (directory, layout, parameters) = setting();
        let path = directory.path().join("energy.safetensors");
        save(&path, &layout, &parameters);
        // Initial parameters are f32 numbers.
        assert_eq!(load(&path, &layout), Ok(parameters));
    }

    /// A layout of one weight and one bias, 1.5 and -0.25, which all types of numbers hold exactly.
    fn pair(dtype: Dtype, names: [&str; 2]) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
        let bytes = |value: f32| match dtype {
            Dtype::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
            Dtype::BF16 => bf16::from_f32(value).to_le_bytes().to_vec(),
            Dtype::F64 => f64::from(value).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        vec![(names[0].into(), dtype, vec![1, 1], bytes(1.5)), (names[1].into(), dtype, vec![1], bytes(-0.25))]
    }

    #[test]
    fn every_type_and_every_prefix_that_files_come_with_loads() {
        let (directory, ..) = setting();
        let path = directory.path().join("energy.safetensors");
        let layout = Layout::new(1, &[], 1);
        let loads = |tensors| {
            write(&path, tensors);
            assert_eq!(load(&path, &layout), Ok(vec![1.5, -0.25]));
        };
        for dtype in [Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64] {
            loads(pair(dtype, ["energy.0.weight", "energy.0.bias"]));
        }
        // Bits of the two formats: 1.5 and -0.25, and what only one of them holds.
        for (dtype, bits, value) in [
            (Dtype::F16, 0x3e00_u16, 1.5),
            (Dtype::F16, 0x0001, 2f64.powi(-24)),
            (Dtype::BF16, 0x7f7f, 3.3895313892515355e38),
        ] {
            let mut tensors = pair(dtype, ["energy.0.weight", "energy.0.bias"]);
            tensors[0].3 = bits.to_le_bytes().to_vec();
            write(&path, tensors);
            assert_eq!(load(&path, &layout), Ok(vec![value, -0.25]), "{dtype} {bits:#x}");
        }
        for prefix in [
            "module.energy.",
            "_orig_mod.energy.",
            "module._orig_mod.energy.",
            "_orig_mod.module.energy.",
            "energy._orig_mod.",
            "",
            "module.",
            "_orig_mod.",
            "_orig_mod.module.",
        ] {
            let names = ["0.weight", "0.bias"].map(|name| format!("{prefix}{name}"));
            loads(pair(Dtype::F32, [&names[0], &names[1]]));
        }
        // A checkpoint's other tensors do not matter, whatever they are called.
        let mut tensors = pair(Dtype::F32, ["energy.0.weight", "energy.0.bias"]);
        tensors.extend(pair(Dtype::F32, ["policy.0.weight", "0.weight"]));
        loads(tensors);
    }

    #[test]
    fn a_mismatch_lists_the_names_found() {
        let (directory, ..) = setting();
        let path = directory.path().join("energy.safetensors");
        let refusal = |tensors, parts: &[&str]| {
            write(&path, tensors);
            let message = load(&path, &Layout::new(1, &[], 1)).expect_err("refused").to_string();
            parts.iter().for_each(|part| assert!(message.contains(part), "{message}: no {part}"));
        };
        let two = pair(Dtype::F32, ["net.0.weight", "net.0.bias"]);
        refusal(two, &["no tensor `energy.0.weight`", "it has `net.0.bias`, `net.0.weight`"]);
        refusal(vec![], &["no tensor `energy.0.weight`", "no tensors"]);
        let twice = pair(Dtype::F32, ["energy.0.weight", "module.energy.0.weight"]);
        refusal(twice, &["two tensors of one meaning", "`energy.0.weight`", "`module.energy.0.weight`"]);
        let many = (10..30).map(|i| (format!("net.{i}.bias"), Dtype::F32, vec![1], vec![0; 4])).collect();
        refusal(many, &["`net.10.bias`", "`net.21.bias` and 8 more"]);
        let mut wrapped = pair(Dtype::F32, ["module.0.weight", "module.0.bias"]);
        wrapped[0].2 = vec![1];
        refusal(wrapped, &["`module.0.weight` has the shape [1], expected [1, 1]"]);
    }

    #[test]
    fn names_and_order_are_those_of_pytorch() {
        let (directory, ..) = setting();
        let path = directory.path().join("energy.safetensors");
        let single = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let double = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        write(
            &path,
            vec![
                ("energy.2.bias".into(), Dtype::F32, vec![1], single(&[9.0])),
                ("energy.2.weight".into(), Dtype::F64, vec![1, 2], double(&[7.0, 8.0])),
                ("energy.0.weight".into(), Dtype::F32, vec![2, 2], single(&[1.0, 2.0, 3.0, 4.0])),
                ("energy.0.bias".into(), Dtype::F32, vec![2], single(&[5.0, 6.0])),
                ("policy.0.bias".into(), Dtype::U8, vec![1], vec![0]),
            ],
        );
        let expected = (1..=9).map(f64::from).collect();
        assert_eq!(load(&path, &Layout::new(2, &[2], 1)), Ok(expected));
    }

    #[test]
    fn numbers_are_those_that_a_checkpoint_holds() {
        let (directory, ..) = setting();
        let path = directory.path().join("energy.safetensors");
        let load_with = |weight: f64| {
            let mut tensors = pair(Dtype::F64, ["energy.0.weight", "energy.0.bias"]);
            tensors[0].3 = weight.to_le_bytes().to_vec();
            write(&path, tensors);
            load(&path, &Layout::new(1, &[], 1))
        };
        assert_eq!(load_with(0.1), Ok(vec![f64::from(0.1_f32), -0.25]));
        let message = load_with(1e39).unwrap_err().to_string();
        for word in ["energy.0.weight", "index 0", "beyond what f32 holds"] {
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn files_that_do_not_fit_are_refused_by_name() {
        let (directory, layout, mut parameters) = setting();
        let path = directory.path().join("energy.safetensors");
        let refusal = |layout: &Layout, parts: &[&str]| {
            let message = load(&path, layout).expect_err("refused").to_string();
            assert!(message.contains("energy.safetensors"), "{message}");
            parts.iter().for_each(|part| assert!(message.contains(part), "{message}: no {part}"));
        };
        refusal(&layout, &["cannot read"]);
        save(&path, &layout, &parameters);
        refusal(&Layout::new(8, &[4, 3], 1), &["`energy.0.weight`", "[4, 6]", "[4, 8]"]);
        refusal(&Layout::new(6, &[4, 3, 1], 1), &["no tensor", "`energy.6.weight`", "[1, 1]"]);
        refusal(&Layout::new(6, &[4], 1), &["`energy.4.bias`", "6, 4, 1"]);

        let whole = fs::read(&path).expect("bytes");
        for end in [0, 5, 40, whole.len() - 1] {
            fs::write(&path, &whole[..end]).expect("written");
            refusal(&layout, &["well-formed"]);
        }
        let mut huge_header = whole.clone();
        huge_header[..8].fill(0xff);
        fs::write(&path, huge_header).expect("written");
        refusal(&layout, &["well-formed"]);

        parameters[30] = f64::NAN;
        save(&path, &layout, &parameters);
        refusal(&layout, &["`energy.2.weight`", "NaN", "index 2"]);
        write(&path, vec![("energy.0.weight".into(), Dtype::I32, vec![1, 1], vec![0; 4])]);
        refusal(&Layout::new(1, &[], 1), &["`energy.0.weight`", "I32", "F32, F64, F16 or BF16"]);
    }
}
