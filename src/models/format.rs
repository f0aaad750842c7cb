//! Which format a model's file has.

use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::text::lines;

/// What a file looks like, by the name that `target.format` and `--format` take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Factor graphs of the UAI competitions, entries phi.
    Uai,
    /// The same with logarithms, toulbar2's `.LG`.
    UaiLog,
    /// `n m` and lines `i j c`: spins, where c > 0 favours equal ones.
    SpinGlass,
    /// The spin-glass server's: `type:`, `size:`, `name:` and lines `i j J`.
    SpinGlassServer,
    /// rudy, Gset and MQLib: `n m` and lines `a b w`; log R is beta times the cut.
    MaxCut,
    /// qbsolv's `.qubo`.
    Qubo,
    /// dimod's coordinate list.
    DimodCoo,
    /// dimod's JSON, schema 3.
    DimodJson,
    /// bqpjson.
    Bqpjson,
    /// adabmDCA's Potts models: lines `J i j a b value` and `h i a value`.
    Adabmdca,
    /// CCMpred's raw Potts models.
    Ccmpred,
    /// A sparse matrix of couplings of scipy, `.npz`: spins, where J > 0 favours equal ones. The only one that is no text.
    ScipySparse,
}

impl Format {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Uai,
        Self::UaiLog,
        Self::SpinGlass,
        Self::SpinGlassServer,
        Self::MaxCut,
        Self::Qubo,
        Self::DimodCoo,
        Self::DimodJson,
        Self::Bqpjson,
        Self::Adabmdca,
        Self::Ccmpred,
        Self::ScipySparse,
    ];

    /// As `target.format` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uai => "uai",
            Self::UaiLog => "uai_log",
            Self::SpinGlass => "spin_glass",
            Self::SpinGlassServer => "spin_glass_server",
            Self::MaxCut => "max_cut",
            Self::Qubo => "qubo",
            Self::DimodCoo => "dimod_coo",
            Self::DimodJson => "dimod_json",
            Self::Bqpjson => "bqpjson",
            Self::Adabmdca => "adabmdca",
            Self::Ccmpred => "ccmpred",
            Self::ScipySparse => "scipy_sparse",
        }
    }

    /// Whether a file is of the format that is no text: by its suffix or its first bytes.
    pub(super) fn is_binary(name: &str, bytes: &[u8]) -> bool {
        // Every zip archive with something in it begins so.
        suffix(name) == "npz" || bytes.starts_with(b"PK\x03\x04")
    }

    /// By the suffix of a name or, where that says nothing, by the first lines of the text.
    pub(super) fn of(name: &str, text: &str) -> Result<Self, Fault> {
        Ok(match suffix(name).as_str() {
            "npz" => Self::ScipySparse,
            "uai" => Self::Uai,
            "lg" => Self::UaiLog,
            "sg" | "gsg" => Self::SpinGlass,
            "rud" | "rudy" | "mc" | "gset" => Self::MaxCut,
            "qubo" => Self::Qubo,
            "coo" => Self::DimodCoo,
            "mrf" | "braw" => Self::Ccmpred,
            _ => return Self::of_content(text),
        })
    }

    fn of_content(text: &str) -> Result<Self, Fault> {
        let told = |(_, content): (usize, &str)| {
            let words: Vec<&str> = content.split_whitespace().take(21).collect();
            match words[..] {
                ["MARKOV" | "BAYES", ..] => Some(Self::Uai),
                ["p", "qubo", ..] => Some(Self::Qubo),
                ["type:" | "size:" | "name:", ..] => Some(Self::SpinGlassServer),
                ["J", _, _, _, _, _] | ["h", _, _, _] => Some(Self::Adabmdca),
                _ if content.starts_with('{') && text.contains("\"variable_ids\"") => Some(Self::Bqpjson),
                _ if content.starts_with('{') => Some(Self::DimodJson),
                _ if content.starts_with('#') && content.contains("vartype=") => Some(Self::DimodCoo),
                _ if words.len() == 20 => Some(Self::Ccmpred),
                _ => None,
            }
        };
        // What has comments has them in front.
        lines(text).take(50).find_map(told).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.map(Self::name).to_vec();
            Fault::new(format!(
                "neither its suffix nor its first lines tell its format: say which of {}",
                names.join(", ")
            ))
        })
    }
}

/// What follows the last dot of a name, in small letters.
fn suffix(name: &str) -> String {
    name.rsplit_once('.').map_or(String::new(), |(_, suffix)| suffix.to_ascii_lowercase())
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| format!("must be one of {}", names()))
    }
}
