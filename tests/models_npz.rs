//! Sparse matrices of scipy as spin glasses: what is read, what is refused and how, and that no bytes whatever make the reader panic
//! or take more memory than they justify.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::io::Write;

use counting::most_held;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use rand::RngExt;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use wgflow::models::{FactorGraph, Format, parse, parse_bytes, read};
use wgflow::process::Objects;
use wgflow::random::{CounterRng, Draw, Stream};

/// Written by `scipy.sparse.save_npz` (scipy 1.17), compressed and not: spins 0, 1, 2 with J = 1 (0, 1), -1 (1, 2), 0.5 (0, 2).
const COMPRESSED: &[u8] = include_bytes!("data/triangle.npz");
const STORED: &[u8] = include_bytes!("data/triangle_stored.npz");
/// The same as a text.
const SG: &str = "3 3\n1 2 1\n2 3 -1\n1 3 0.5\n";

/// A `.npy` file.
fn array(descr: &str, shape: &str, content: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), content].concat()
}

fn bytes<const N: usize, T>(numbers: &[T], of: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(of).collect()
}

fn integers(numbers: &[i32]) -> Vec<u8> {
    array("<i4", &format!("({},)", numbers.len()), &bytes(numbers, |number| number.to_le_bytes()))
}

fn floats(numbers: &[f64]) -> Vec<u8> {
    array("<f8", &format!("({},)", numbers.len()), &bytes(numbers, |number| number.to_le_bytes()))
}

/// The triangle's arrays.
fn arrays() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("indices", integers(&[1, 2, 2])),
        ("indptr", integers(&[0, 2, 3, 3])),
        ("format", array("|S3", "()", b"csr")),
        ("shape", integers(&[3, 3])),
        ("data", floats(&[1.0, 0.5, -1.0])),
    ]
}

/// A zip archive of arrays.
fn zipped(arrays: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let mut output = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut output);
    for (name, content) in arrays {
        let method = if compressed { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
        let name = format!("{name}.npy");
        let (mut entry, config) = archive.new_file(&name).compression_method(method).start().unwrap();
        let descriptor = if compressed {
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    output
}

/// The triangle with other arrays in place of some.
fn with(others: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut all = arrays();
    for (name, content) in others {
        all.iter_mut().find(|(known, _)| known == name).unwrap().1 = content.clone();
    }
    zipped(&all, true)
}

fn refusal(bytes: &[u8]) -> String {
    parse_bytes("m.npz", bytes, None, 1.0).unwrap_err().to_string()
}

fn log_rewards(graph: &FactorGraph) -> Vec<f64> {
    Objects::numbered(3, 2, 0..8).rows().map(|object| graph.log_reward(object)).collect()
}

#[test]
fn the_upper_triangle_is_a_spin_glass() {
    let expected = log_rewards(&parse("m.sg", SG, None, 0.3).unwrap());
    let big = |numbers: &[i64]| array(">i8", "(3,)", &bytes(numbers, |number| number.to_be_bytes()));
    let single = array("<f4", "(3,)", &bytes(&[1.0_f32, 0.5, -1.0], |number| number.to_le_bytes()));
    let text = array("<U3", "()", &bytes(&['c', 's', 'r'], |letter| u32::from(*letter).to_le_bytes()));
    let same = [
        COMPRESSED.to_vec(),
        STORED.to_vec(),
        zipped(&arrays(), true),
        zipped(&arrays(), false),
        with(&[("indices", big(&[1, 2, 2]))]),
        with(&[("data", single)]),
        with(&[("format", text)]),
        // Columns of a row need no order.
        with(&[("indices", integers(&[2, 1, 2])), ("data", floats(&[0.5, 1.0, -1.0]))]),
    ];
    for (case, file) in same.iter().enumerate() {
        // Told by its first bytes.
        let graph = parse_bytes("m", file, None, 0.3).unwrap_or_else(|error| panic!("case {case}: {error}"));
        assert_eq!(log_rewards(&graph), expected, "case {case}");
        assert_eq!(graph.measure(0.3), Some(("energy", -1.0)));
        assert_eq!((graph.labels().variable(0).as_ref(), graph.labels().value(0).as_ref()), ("0", "-1"));
    }
    // Numbers of all kinds, and a file.
    for (descr, content) in [("|i1", vec![1, 0, 255]), ("<i2", vec![1, 0, 0, 0, 255, 255]), ("|b1", vec![1, 0, 1])] {
        let file = with(&[("data", array(descr, "(3,)", &content))]);
        let last = if descr == "|b1" { 1.0 } else { -1.0 };
        assert_eq!(parse_bytes("m", &file, None, 1.0).unwrap().log_reward(&[0, 0, 0]), 1.0 + last, "{descr}");
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("triangle.npz");
    std::fs::write(&path, COMPRESSED).unwrap();
    assert_eq!(log_rewards(&read(&path, None, 0.3).unwrap()), expected);
    assert_eq!(log_rewards(&read(&path, Some(Format::ScipySparse), 0.3).unwrap()), expected);
}

#[test]
fn what_is_wrong_is_told_with_its_array() {
    let not_the_size = |name, numbers: &[i32]| with(&[(name, integers(numbers))]);
    let data = |numbers: &[f64]| with(&[("data", floats(numbers))]);
    let raw = |name: &'static str, content: &[u8]| with(&[(name, content.to_vec())]);
    let mut twice = arrays();
    twice.push(("data", floats(&[1.0, 1.0, 1.0])));
    let mut trailing = floats(&[1.0, 0.5, -1.0]);
    trailing.push(0);
    let mut damaged = STORED.to_vec();
    let place = damaged.windows(8).position(|eight| eight == 0.5_f64.to_le_bytes()).unwrap();
    damaged[place + 7] ^= 0x80;
    let cases = [
        (not_the_size("indices", &[1, 3, 2]), "array `indices`: entry 1, a column, is 3: it must be 0 to 2"),
        (not_the_size("indices", &[1, -1, 2]), "array `indices`: entry 1, a column, is -1: it must be 0 to 2"),
        (not_the_size("indices", &[1, 2]), "array `indices`: it has 2 entries: it must have 3"),
        (not_the_size("indices", &[0, 2, 2]), "row 0 has an entry in column 0, on the diagonal"),
        (not_the_size("indices", &[1, 2, 0]), "row 1 has an entry in column 0, below the diagonal"),
        (not_the_size("indices", &[1, 1, 2]), "two entries in column 1: `J.sum_duplicates()`"),
        (not_the_size("indptr", &[0, 2, 1, 3]), "array `indptr`: entry 2, where a row ends, is 1: it must be 2 to 3"),
        (not_the_size("indptr", &[1, 2, 3, 3]), "array `indptr`: entry 0, where the first row begins"),
        (not_the_size("indptr", &[0, 2, 3, 9]), "array `indptr`: entry 3"),
        (not_the_size("indptr", &[0, 2, 3]), "array `indptr`: it has 3 entries: it must have 4"),
        (not_the_size("shape", &[3, 4]), "3 rows and 4 columns: it must be square"),
        (not_the_size("shape", &[0, 0]), "the number of rows, is 0: it must be 1 to"),
        (not_the_size("shape", &[i32::MAX, i32::MAX]), "the number of rows, is 2147483647: it must be 1 to"),
        (data(&[1.0, f64::NAN, 1.0]), "array `data`: entry 1, a coupling, is NaN: it must be finite"),
        (data(&[1.0, f64::INFINITY, 1.0]), "array `data`: entry 1, a coupling, is inf: it must be finite"),
        (data(&[1.0]), "array `data`: it has 1 entries: it must have 3"),
        (with(&[("format", array("|S3", "()", b"coo"))]), "in the format \"coo\": it must be csr"),
        (with(&[("data", array("<c16", "(3,)", &[0; 48]))]), "array `data`: it begins with no description of a list"),
        (with(&[("data", array("<f8", "(3, 1)", &[0; 24]))]), "array `data`: it begins with no description of a list"),
        (with(&[("indices", floats(&[1.0, 2.0, 2.0]))]), "array `indices`: its entries must be whole numbers"),
        (with(&[("data", array("<f8", "(3,)", &[0; 20]))]), "array `data`: it ends after 2 of 3 entries"),
        (raw("data", &trailing), "array `data`: more follows its last entry"),
        (raw("data", b"1 0.5 -1"), "array `data`: it does not begin as a .npy file"),
        (zipped(&twice, false), "array `data`: it is there twice"),
        (zipped(&arrays()[..4], true), "array `data`: there is no such array"),
        (damaged, "array `data`: it cannot be unpacked: Invalid checksum"),
        (COMPRESSED[..COMPRESSED.len() - 30].to_vec(), "it is no zip archive"),
        (SG.as_bytes().to_vec(), "it is no zip archive"),
    ];
    let count = cases.len();
    for (file, words) in cases {
        let message = refusal(&file);
        assert!(message.starts_with("m.npz: ") && message.contains(words), "{words}: {message}");
    }
    assert!(count > 25);
    // A text is none of it, and it is no text.
    let message = parse("target.text", "", Some(Format::ScipySparse), 1.0).unwrap_err().to_string();
    assert!(message.contains("a file of its own"), "{message}");
    let message = parse_bytes("m.npz", COMPRESSED, Some(Format::SpinGlass), 1.0).unwrap_err().to_string();
    assert!(message.contains("UTF-8"), "{message}");
    for beta in [0.0, f64::NAN] {
        assert!(parse_bytes("m.npz", COMPRESSED, None, beta).unwrap_err().to_string().contains("beta"));
    }
}

/// Bytes with something changed.
fn mutated(bytes: &mut Vec<u8>, generator: &mut CounterRng) {
    for _ in 0..generator.random_range(1..=3) {
        let place = generator.random_range(0..=bytes.len());
        match generator.random_range(0..5) {
            0 => bytes.truncate(place),
            1 => bytes.insert(place, generator.random()),
            2 if place < bytes.len() => drop(bytes.remove(place)),
            3 if place < bytes.len() => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][generator.random_range(0..5)],
            _ if place < bytes.len() => bytes[place] ^= 1 << generator.random_range(0..8),
            _ => {}
        }
    }
}

#[test]
fn no_bytes_make_the_reader_panic_or_take_more_than_they_justify() {
    const CASES: usize = 10_000;
    let mut generator = Draw::new(1, 0, Stream::Data).generator(0);
    let mut outcomes = [[0; 2]; 4];
    for (kind, outcomes) in outcomes.iter_mut().enumerate() {
        for _ in 0..CASES {
            // The archive broken, or an array of an archive that is whole.
            let file = match kind {
                0 | 1 => {
                    let mut file = [COMPRESSED, STORED][kind].to_vec();
                    mutated(&mut file, &mut generator);
                    file
                }
                _ => {
                    let mut arrays = arrays();
                    let place = generator.random_range(0..arrays.len());
                    mutated(&mut arrays[place].1, &mut generator);
                    zipped(&arrays, kind == 3)
                }
            };
            let held = most_held(|| match parse_bytes("m", &file, Some(Format::ScipySparse), 1.0) {
                Ok(graph) => {
                    outcomes[0] += 1;
                    assert!(graph.log_reward(&vec![0; graph.variables()]).is_finite());
                }
                Err(error) => {
                    outcomes[1] += 1;
                    assert!(error.to_string().chars().count() < 700, "{error}");
                }
            });
            // Two arrays being unpacked take 40 KiB each and as much again for what was read ahead.
            assert!(held <= 200 << 10, "{held} bytes for {file:x?}");
        }
    }
    // What does not matter are dates, attributes and spaces.
    assert!(
        outcomes.iter().all(|[read, refused]| read + refused == CASES && *read > 20 && *refused > 1000),
        "{outcomes:?}"
    );
}

/// Zeros that unpack to a thousand times their size, and counts that nothing stands behind.
#[test]
fn small_files_that_claim_to_be_large_are_refused_at_once() {
    let zeros = vec![0; 32 << 20];
    let square = integers(&[1 << 23, 1 << 23]);
    let flat: Vec<i32> = std::iter::once(0).chain(std::iter::repeat_n(8_000_000, 1 << 23)).collect();
    let full = array("<i4", "(8388609,)", &bytes(&flat, |number| number.to_le_bytes()));
    let indices = array("<i4", "(8000000,)", &zeros);
    let files = [
        with(&[("shape", square.clone()), ("indptr", full), ("indices", indices.clone()), ("data", floats(&[]))]),
        with(&[("data", array("<f8", "(99999999999999,)", &zeros))]),
        with(&[("indices", array("<i8", "(18446744073709551615,)", &zeros))]),
        with(&[("indptr", indices)]),
        with(&[("format", zeros.clone())]),
        with(&[("shape", square)]),
    ];
    for (case, file) in files.iter().enumerate() {
        assert!(file.len() < 400 << 10, "{}", file.len());
        let held = most_held(|| drop(refusal(file)));
        // The first has 8 million rows indeed, which are kept, and no couplings.
        let most = if case == 0 { 200 << 20 } else { 200 << 10 };
        assert!(held < most, "case {case}: {held} bytes");
    }
}
