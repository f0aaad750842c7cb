//! Objects as a file other programs read: NumPy's `.npy`, or `.csv`.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use super::files::{self, FileError};
use crate::evaluation::{Best, Share};
use crate::models::Labels;
use crate::process::Objects;

/// What a file of objects looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// NumPy's array format, dtype uint8, shape [n, sites].
    Npy,
    /// A heading `site_0,site_1,...`, or the labels of a model's variables, then a line an object, values numbered from 0 or as
    /// the model calls them.
    Csv,
}

impl Format {
    /// The format that the ending of a path asks for, in either case.
    pub fn of(path: &Path) -> Result<Self, UnknownEnding> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("npy") => Ok(Format::Npy),
            Some("csv") => Ok(Format::Csv),
            _ => Err(UnknownEnding(path.display().to_string())),
        }
    }
}

/// A path whose ending says nothing about the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot tell the format of {0}: samples are written to names ending in .npy or .csv")]
pub struct UnknownEnding(String);

/// Writes objects, the values 0, 1, ... of each site, and takes the place of `path` only once complete. In `.csv`, sites and
/// values have the names in `labels`, where there are some.
pub fn write(path: &Path, format: Format, objects: &Objects, labels: Option<&Labels>) -> Result<(), FileError> {
    files::write_with(path, |file| match (format, labels) {
        (Format::Npy, _) => write_npy(file, objects),
        (Format::Csv, None) => write_csv(file, objects),
        (Format::Csv, Some(labels)) => write_labelled(file, objects, labels),
    })
}

/// Writes the best of some samples, as [`write`] does; a `.csv` begins with columns for log R and, where the target has one, its
/// measure.
pub fn write_best(
    path: &Path,
    format: Format,
    best: &[Best],
    sites: usize,
    labels: Option<&Labels>,
) -> Result<(), FileError> {
    let objects = Objects::new(sites, best.iter().flat_map(|best| best.object.iter().copied()).collect());
    if format == Format::Npy {
        return write(path, format, &objects, labels);
    }
    let measure = best.first().and_then(|best| best.measure).map(|(name, _)| name);
    files::write_with(path, |file| {
        let names =
            (0..sites).map(|site| labels.map_or_else(|| format!("site_{site}").into(), |labels| labels.variable(site)));
        let heading = [Some("log_reward"), measure].into_iter().flatten().map(Cow::from);
        write_line(file, heading.chain(names).map(cell))?;
        best.iter().try_for_each(|best| {
            let numbers = [Some(best.log_reward), best.told().map(|(_, value)| value)].into_iter().flatten();
            let value = |&value: &u8| value_name(labels, value.into());
            let cells = numbers.map(|number| number.to_string().into()).chain(best.object.iter().map(value));
            write_line(file, cells.map(cell))
        })
    })
}

/// Writes a `.csv` of shares, a line for each value of each site; what is not known stays empty.
pub fn write_shares(path: &Path, shares: &[Share], labels: Option<&Labels>) -> Result<(), FileError> {
    files::write_with(path, |file| {
        writeln!(file, "site,value,policy,policy_standard_error,weighted,weighted_standard_error,exact")?;
        let known = |number: f64| if number.is_nan() { String::new() } else { number.to_string() };
        shares.iter().try_for_each(|share| {
            let Share { site, value, policy, weighted, exact } = *share;
            let name = labels.map_or_else(|| site.to_string().into(), |labels| labels.variable(site));
            let numbers = [
                policy.value,
                policy.standard_error,
                weighted.value,
                weighted.standard_error,
                exact.unwrap_or(f64::NAN),
            ];
            let cells = [cell(name), cell(value_name(labels, value))].into_iter();
            write_line(file, cells.chain(numbers.map(|number| known(number).into())))
        })
    })
}

/// What a model calls a value, or its number.
fn value_name(labels: Option<&Labels>, value: usize) -> Cow<'_, str> {
    labels.map_or_else(|| value.to_string().into(), |labels| labels.value(value))
}

/// Version 1.0 of NumPy's format (numpy.lib.format): a header of one line, padded so that the values begin at a multiple of
/// 64 bytes, and the values. Written here, for the crate that reads and writes any such file brings 18 others with it.
fn write_npy(file: &mut dyn Write, objects: &Objects) -> io::Result<()> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let (count, sites) = (objects.count(), objects.sites());
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {sites}, ), }}");
    // Before the line: the magic and its own length in two bytes. Behind it: its end.
    let before = MAGIC.len() + 2;
    let length = (before + header.len() + 1).next_multiple_of(64) - before;
    file.write_all(MAGIC)?;
    file.write_all(&(length as u16).to_le_bytes())?;
    writeln!(file, "{header:<width$}", width = length - 1)?;
    file.write_all(objects.values())
}

fn write_csv(file: &mut dyn Write, objects: &Objects) -> io::Result<()> {
    write_line(file, (0..objects.sites()).map(|site| format!("site_{site}")))?;
    objects.rows().try_for_each(|row| write_line(file, row))
}

fn write_labelled(file: &mut dyn Write, objects: &Objects, labels: &Labels) -> io::Result<()> {
    write_line(file, (0..objects.sites()).map(|site| cell(labels.variable(site))))?;
    objects.rows().try_for_each(|row| write_line(file, row.iter().map(|&value| cell(labels.value(value.into())))))
}

/// A text as one cell, in quotes where it has characters that end one (RFC 4180).
fn cell(text: Cow<str>) -> Cow<str> {
    let ends = text.contains([',', '"', '\n', '\r']);
    if ends { format!("\"{}\"", text.replace('"', "\"\"")).into() } else { text }
}

fn write_line(file: &mut dyn Write, cells: impl IntoIterator<Item = impl fmt::Display>) -> io::Result<()> {
    for (index, cell) in cells.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(file, "{comma}{cell}")?;
    }
    writeln!(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Values, Variables};
    use std::fs;

    fn objects() -> Objects {
        Objects::new(3, vec![0, 1, 255, 7, 0, 1])
    }

    fn written(name: &str, objects: &Objects) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        write(&path, Format::of(&path).unwrap(), objects, None).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn npy_reads_back() {
        let bytes = written("x.npy", &objects());
        assert_eq!(&bytes[..6], b"\x93NUMPY");
        let file = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(file.shape(), [2, 3]);
        assert_eq!(file.order(), npyz::Order::C);
        assert_eq!(file.dtype().descr(), "'|u1'");
        assert_eq!(file.into_vec::<u8>().unwrap(), objects().values());
        assert_eq!(&bytes[bytes.len() - 6..], objects().values());
    }

    #[test]
    fn npy_is_what_a_crate_for_it_writes_at_every_length_of_the_header() {
        use npyz::WriterBuilder;
        // The header grows by a digit a row, past a multiple of 64.
        for count in (0..7).map(|digits| 10_usize.pow(digits)) {
            let objects = Objects::new(2, vec![1; 2 * count]);
            let mut expected = Vec::new();
            let options = npyz::WriteOptions::new().default_dtype().shape(&[count as u64, 2]);
            let mut writer = options.writer(&mut expected).begin_nd().unwrap();
            writer.extend(objects.values()).unwrap();
            writer.finish().unwrap();
            assert!(written("x.npy", &objects) == expected, "{count} rows");
        }
    }

    #[test]
    fn npy_of_no_objects_keeps_the_number_of_sites() {
        let bytes = written("x.NPY", &Objects::new(5, Vec::new()));
        let file = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(file.shape(), [0, 5]);
        assert_eq!(file.into_vec::<u8>().unwrap(), Vec::<u8>::new());
    }

    #[test]
    fn csv_has_a_heading_and_a_line_an_object() {
        assert_eq!(written("x.csv", &objects()), b"site_0,site_1,site_2\n0,1,255\n7,0,1\n");
        assert_eq!(written("x.csv", &Objects::new(1, Vec::new())), b"site_0\n");
    }

    #[test]
    fn csv_has_the_names_of_a_model_s_variables_and_values() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.csv");
        let variables = Variables::Named(vec!["a".into(), "b,c".into(), "d\"".into()]);
        let labels = Labels { variables, values: Values::Spins };
        write(&path, Format::Csv, &Objects::new(3, vec![0, 1, 1]), Some(&labels)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,\"b,c\",\"d\"\"\"\n-1,1,1\n");
    }

    #[test]
    fn other_endings_are_refused_with_those_allowed() {
        for name in ["x.txt", "x", ".npy", "npy", "x.csv.gz"] {
            let message = Format::of(Path::new(name)).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(".npy or .csv"), "{message}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let path = Path::new("/nonexistent/x.npy");
        let message = write(path, Format::Npy, &objects(), None).unwrap_err().to_string();
        assert!(message.starts_with("cannot write /nonexistent/x.npy: "), "{message}");
    }
}
