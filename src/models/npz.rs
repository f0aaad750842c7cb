//! Arrays of an `.npz` file: a zip archive of `.npy` files, stored or deflated (NumPy's NEP 1, format versions 1 to 3).
//!
//! Arrays are unpacked while they are read, entry by entry, so that a small file that unpacks to a large one takes no memory for it.

use std::io::{BufReader, ErrorKind, Read};
use std::ops::RangeInclusive;

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipSliceArchive, ZipSliceEntry};

use super::error::Fault;
use super::text::shown;

/// Bytes that the description in front of an array may have.
const LONGEST_HEADER: usize = 1 << 12;

/// The arrays of a file.
pub(super) struct Arrays<'a>(ZipSliceArchive<&'a [u8]>);

impl<'a> Arrays<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let archive = ZipArchive::from_slice(bytes);
        archive.map(Self).map_err(|error| Fault::new(format!("it is no zip archive, as .npz files are: {error}")))
    }

    /// The array of this name; its description is read.
    pub fn array(&self, name: &'static str) -> Result<Array<'_>, Fault> {
        let mut found = None;
        for entry in self.0.entries() {
            let entry = entry.map_err(|error| Fault::new(format!("its list of arrays is broken: {error}")))?;
            let path = entry.file_path();
            if path.as_ref().strip_suffix(b".npy") == Some(name.as_bytes()) && found.replace(entry).is_some() {
                return Err(fault(name, "it is there twice"));
            }
        }
        let entry = found.ok_or_else(|| fault(name, "there is no such array: scipy.sparse.save_npz writes it"))?;
        let packed = self.0.get_entry(entry.wayfinder()).map_err(|error| fault(name, error))?;
        Array::open(name, &packed, entry.compression_method())
    }
}

/// What an entry of an array is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    /// Also truth values.
    Unsigned,
    Float,
    Bytes,
    /// Four bytes a character.
    Text,
}

/// An array, read from its first entry to its last.
pub(super) struct Array<'a> {
    name: &'static str,
    kind: Kind,
    /// Bytes of an entry.
    size: usize,
    big_endian: bool,
    /// Number of entries, as its description claims.
    count: usize,
    read: usize,
    source: Box<dyn Read + 'a>,
}

impl<'a> Array<'a> {
    fn open(name: &'static str, packed: &ZipSliceEntry<'a>, method: CompressionMethod) -> Result<Self, Fault> {
        let source: Box<dyn Read + 'a> = match method {
            CompressionMethod::STORE => Box::new(packed.verifying_reader(packed.data())),
            CompressionMethod::DEFLATE => {
                Box::new(BufReader::new(packed.verifying_reader(DeflateDecoder::new(packed.data()))))
            }
            other => return Err(fault(name, format!("it is packed as {other}: only stored and deflated are read"))),
        };
        let mut array = Self { name, kind: Kind::Bytes, size: 0, big_endian: false, count: 0, read: 0, source };
        let header = array.header()?;
        array.describe(&header).ok_or_else(|| {
            let what = "no description of a list of numbers or of a text";
            array.fault(format!("it begins with {what}: {}", shown(&header)))
        })?;
        Ok(array)
    }

    /// The description: a dictionary as Python writes it.
    fn header(&mut self) -> Result<String, Fault> {
        let mut start = [0; 8];
        self.fill(&mut start)?;
        let mut length = [0; 4];
        match start {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => self.fill(&mut length[..2])?,
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => self.fill(&mut length)?,
            _ => return Err(self.fault("it does not begin as a .npy file of version 1 to 3 does")),
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_HEADER {
            return Err(self.fault(format!("its description has {length} bytes: {LONGEST_HEADER} are allowed")));
        }
        let mut header = vec![0; length];
        self.fill(&mut header)?;
        Ok(String::from_utf8_lossy(&header).into_owned())
    }

    /// Takes kind, size and number of entries from the description.
    fn describe(&mut self, header: &str) -> Option<()> {
        let value = |key: &str| Some(header.split_once(&format!("'{key}':"))?.1.trim_start());
        let (code, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let order = code.chars().next().filter(|order| "<>|=".contains(*order))?;
        let (kind, size) = code[1..].split_at_checked(1)?;
        self.size = size.parse().ok()?;
        self.big_endian = order == '>';
        self.kind = match (kind, self.size) {
            ("i", 1 | 2 | 4 | 8) => Kind::Signed,
            ("u", 1 | 2 | 4 | 8) | ("b", 1) => Kind::Unsigned,
            ("f", 4 | 8) => Kind::Float,
            ("S", 1..=64) => Kind::Bytes,
            ("U", 1..=16) => {
                self.size *= 4;
                Kind::Text
            }
            _ => return None,
        };
        let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
        let lengths: Vec<usize> = lengths.map(|length| length.parse().ok()).collect::<Option<_>>()?;
        self.count = if lengths.len() <= 1 { lengths.into_iter().product() } else { return None };
        Some(())
    }

    /// Refuses another number of entries than `expected`, which is `what`.
    pub fn check_count(&self, expected: usize, what: &str) -> Result<(), Fault> {
        let message = || format!("it has {} entries: it must have {expected}, {what}", self.count);
        if self.count == expected { Ok(()) } else { Err(self.fault(message())) }
    }

    /// The next entry, a whole number in a range.
    pub fn whole(&mut self, what: &str, range: RangeInclusive<usize>) -> Result<usize, Fault> {
        let bits = self.entry()?;
        let found = match self.kind {
            Kind::Signed => i128::from(signed(bits, self.size)),
            Kind::Unsigned => i128::from(bits),
            _ => return Err(self.fault("its entries must be whole numbers")),
        };
        let whole = usize::try_from(found).ok().filter(|found| range.contains(found));
        whole.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.fault(format!("entry {}, {what}, is {found}: it must be {least} to {most}", self.read - 1))
        })
    }

    /// The next entry, a finite number.
    pub fn number(&mut self, what: &str) -> Result<f64, Fault> {
        let bits = self.entry()?;
        let number = match (self.kind, self.size) {
            (Kind::Signed, size) => signed(bits, size) as f64,
            (Kind::Unsigned, _) => bits as f64,
            (Kind::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (Kind::Float, _) => f64::from_bits(bits),
            _ => return Err(self.fault("its entries must be numbers")),
        };
        let message = || format!("entry {}, {what}, is {number}: it must be finite", self.read - 1);
        if number.is_finite() { Ok(number) } else { Err(self.fault(message())) }
    }

    /// The text that is the array's only entry.
    pub fn text(&mut self) -> Result<String, Fault> {
        self.check_count(1, "a text")?;
        let mut bytes = vec![0; self.size];
        self.fill(&mut bytes)?;
        let big = self.big_endian;
        let character = |four: &[u8]| {
            let four = four.try_into().expect("chunks of four");
            char::from_u32(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }).unwrap_or('?')
        };
        let text = match self.kind {
            Kind::Bytes => String::from_utf8_lossy(&bytes).into_owned(),
            Kind::Text => bytes.chunks_exact(4).map(character).collect(),
            _ => return Err(self.fault("it must be a text")),
        };
        self.end()?;
        Ok(text.trim_end_matches('\0').to_owned())
    }

    /// Refuses what is left, and what does not have the archive's checksum.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.source.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.fault("more follows its last entry")),
            Err(error) => Err(self.fault(format!("it cannot be unpacked: {error}"))),
        }
    }

    /// The bits of the next entry, a number's.
    fn entry(&mut self) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        let size = self.size.min(bytes.len());
        self.fill(&mut bytes[..size])?;
        if self.big_endian {
            bytes[..size].reverse();
        }
        self.read += 1;
        Ok(u64::from_le_bytes(bytes))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.source.read_exact(bytes).map_err(|error| {
            self.fault(match error.kind() {
                ErrorKind::UnexpectedEof => format!("it ends after {} of {} entries", self.read, self.count),
                _ => format!("it cannot be unpacked: {error}"),
            })
        })
    }

    fn fault(&self, message: impl ToString) -> Fault {
        fault(self.name, message)
    }
}

fn fault(name: &str, message: impl ToString) -> Fault {
    Fault::new(format!("array `{name}`: {}", message.to_string()))
}

/// The number that the lowest `size` bytes are in two's complement.
fn signed(bits: u64, size: usize) -> i64 {
    let unused = 64 - 8 * size as u32;
    (bits << unused) as i64 >> unused
}
