//! Energy models in safetensors files, under the names of a PyTorch `nn.Sequential(Linear, ELU, Linear, ...)`.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::policy::Layout;

/// What the names of an energy model's tensors begin with: `energy.0.weight`, `energy.0.bias`, `energy.2.weight`, ...
pub const PREFIX: &str = "energy";

/// The parameters in a file, in the order of `layout`.
///
/// Tensors are F32 or F64, weights [out, in]. Tensors under other prefixes are passed over. The error is a sentence that
/// names the file and, where one is at fault, the tensor, what was found and what was expected.
pub fn load(path: &Path, layout: &Layout) -> Result<Vec<f64>, String> {
    let place = path.display();
    let bytes = fs::read(path).map_err(|error| format!("cannot read the energy model {place}: {error}"))?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| format!("{place} is not a whole and well-formed safetensors file: {error}"))?;
    let expected = layout.tensors(PREFIX);
    let prefix = format!("{PREFIX}.");
    let foreign = |name: &&str| name.starts_with(&prefix) && expected.iter().all(|(known, ..)| known != name);
    if let Some(name) = tensors.names().into_iter().filter(foreign).min() {
        let widths = layout.widths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!("{place} has a tensor `{name}`, which an energy model of widths {widths} has not"));
    }
    let mut parameters = Vec::with_capacity(layout.parameters());
    for (name, shape, _) in expected {
        let tensor = tensors
            .tensor(&name)
            .map_err(|_| format!("{place} has no tensor `{name}`, which should have the shape {shape:?}"))?;
        if tensor.shape() != shape {
            return Err(format!("{place}: tensor `{name}` has the shape {:?}, expected {shape:?}", tensor.shape()));
        }
        let values = numbers(&tensor)
            .ok_or_else(|| format!("{place}: tensor `{name}` is of type {}, expected F32 or F64", tensor.dtype()))?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(format!("{place}: tensor `{name}` has {} at index {index}, not a number", values[index]));
        }
        parameters.extend(values);
    }
    Ok(parameters)
}

/// The numbers of a tensor; none if it is neither F32 nor F64.
fn numbers(tensor: &TensorView) -> Option<Vec<f64>> {
    match tensor.dtype() {
        Dtype::F32 => Some(tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect()),
        Dtype::F64 => Some(tensor.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()),
        _ => None,
    }
}

/// Writes `parameters`, in the order of `layout`, as F32. A file that is there already is replaced all at once.
pub fn save(path: &Path, layout: &Layout, parameters: &[f64]) -> Result<(), String> {
    let bytes: Vec<u8> = parameters.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
    let view = |(name, shape, range): (String, Vec<usize>, std::ops::Range<usize>)| {
        TensorView::new(Dtype::F32, shape, &bytes[4 * range.start..4 * range.end]).map(|view| (name, view))
    };
    let views: Result<Vec<_>, _> = layout.tensors(PREFIX).into_iter().map(view).collect();
    let file = views.and_then(|views| safetensors::serialize(views, None));
    let partial = path.with_extension("partial");
    file.map_err(|error| error.to_string())
        .and_then(|file| fs::write(&partial, file).map_err(|error| error.to_string()))
        .and_then(|()| fs::rename(&partial, path).map_err(|error| error.to_string()))
        .map_err(|error| format!("cannot write the energy model {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Initialisation, initialise};
    use crate::random::Stream;

    fn setting() -> (tempfile::TempDir, Layout, Vec<f64>) {
        let layout = Layout::new(6, &[4, 3], 1);
        let parameters = initialise(&layout, Initialisation::FanIn, 1, Stream::EnergyInitialisation);
        (tempfile::tempdir().expect("a directory"), layout, parameters)
    }

    fn write(path: &Path, tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)>) {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes of the right number"))
        });
        fs::write(path, safetensors::serialize(views, None).expect("a file")).expect("written");
    }

    #[test]
    fn saved_and_loaded_to_the_bit() {
        let (directory, layout, parameters) = setting();
        let path = directory.path().join("energy.safetensors");
        fs::write(&path, "what was there before").expect("written");
        save(&path, &layout, &parameters).expect("saved");
        // Initial parameters are f32 numbers.
        assert_eq!(load(&path, &layout), Ok(parameters));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
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
                ("energy.2.bias", Dtype::F32, vec![1], single(&[9.0])),
                ("energy.2.weight", Dtype::F64, vec![1, 2], double(&[7.0, 8.0])),
                ("energy.0.weight", Dtype::F32, vec![2, 2], single(&[1.0, 2.0, 3.0, 4.0])),
                ("energy.0.bias", Dtype::F32, vec![2], single(&[5.0, 6.0])),
                ("policy.0.bias", Dtype::U8, vec![1], vec![0]),
            ],
        );
        let expected = (1..=9).map(f64::from).collect();
        assert_eq!(load(&path, &Layout::new(2, &[2], 1)), Ok(expected));
    }

    #[test]
    fn files_that_do_not_fit_are_refused_by_name() {
        let (directory, layout, mut parameters) = setting();
        let path = directory.path().join("energy.safetensors");
        let refusal = |layout: &Layout, parts: &[&str]| {
            let message = load(&path, layout).expect_err("refused");
            assert!(message.contains("energy.safetensors"), "{message}");
            parts.iter().for_each(|part| assert!(message.contains(part), "{message}: no {part}"));
        };
        refusal(&layout, &["cannot read"]);
        save(&path, &layout, &parameters).expect("saved");
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
        save(&path, &layout, &parameters).expect("saved");
        refusal(&layout, &["`energy.2.weight`", "NaN", "index 2"]);
        write(&path, vec![("energy.0.weight", Dtype::I32, vec![1, 1], vec![0; 4])]);
        refusal(&Layout::new(1, &[], 1), &["`energy.0.weight`", "I32", "F32 or F64"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let (directory, layout, parameters) = setting();
        let path = directory.path().join("missing").join("energy.safetensors");
        let message = save(&path, &layout, &parameters).expect_err("no such directory");
        assert!(message.contains("cannot write") && message.contains("energy.safetensors"), "{message}");
    }
}
