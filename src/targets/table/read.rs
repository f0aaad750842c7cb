//! A table's file: a heading `sequence,reward`, and a line a sequence.

use std::collections::BTreeSet;

use crate::models::{Fault, lines, number, shown};

/// What a file says, in the order of the sequences.
pub struct Rows {
    /// The letters, in the order of their values.
    pub alphabet: String,
    /// Letters of a sequence.
    pub sites: usize,
    /// The values of each sequence, row-major [rows, sites], in lexicographic order.
    pub values: Vec<u8>,
    /// Their rewards, each with its line.
    pub rewards: Vec<(usize, f64)>,
}

/// Reads a table whose letters are those of `alphabet`, or else all that it has, in the order of their codes.
pub fn read(text: &str, alphabet: Option<&str>) -> Result<Rows, Fault> {
    let mut lines = lines(text.strip_prefix('\u{feff}').unwrap_or(text));
    let (line, heading) =
        lines.next().ok_or_else(|| Fault::new("it is empty: a table begins with `sequence,reward`"))?;
    if !heading.split(',').map(str::trim).eq(["sequence", "reward"]) {
        return Err(Fault::at(line, format!("expected the heading `sequence,reward`, found {}", shown(heading))));
    }
    let mut rows = Vec::new();
    let mut length = None;
    for (line, text) in lines {
        let mut cells = text.split(',').map(str::trim);
        let (Some(sequence), Some(reward), None) = (cells.next(), cells.next(), cells.next()) else {
            return Err(Fault::at(line, format!("expected `sequence,reward`, found {}", shown(text))));
        };
        if sequence.is_empty() || !sequence.bytes().all(is_letter) {
            let allowed = "letters are visible ASCII characters other than a comma and a quotation mark";
            return Err(Fault::at(line, format!("the sequence is {}: {allowed}", shown(sequence))));
        }
        let (first, expected) = *length.get_or_insert((line, sequence.len()));
        if sequence.len() != expected {
            let found = sequence.len();
            let message = format!(
                "the sequence has {found} letters: that of line {first} has {expected}, and all must be of one length"
            );
            return Err(Fault::at(line, message));
        }
        rows.push((sequence.as_bytes(), line, number(line, reward, "the reward")?));
    }
    let Some((_, sites)) = length else { return Err(Fault::new("it has no sequences below its heading")) };
    let letters = match alphabet {
        Some(alphabet) => alphabet.as_bytes().to_vec(),
        None => rows.iter().flat_map(|row| row.0).copied().collect::<BTreeSet<u8>>().into_iter().collect(),
    };
    if letters.len() < 2 {
        return Err(Fault::new("all its letters are the same: say by target.alphabet which others there are"));
    }
    let mut value_of = [None; 256];
    (0..=255).zip(&letters).for_each(|(value, &letter)| value_of[usize::from(letter)] = Some(value));
    let mut coded = Vec::with_capacity(rows.len());
    for (sequence, line, reward) in rows {
        let values: Option<Vec<u8>> = sequence.iter().map(|&letter| value_of[usize::from(letter)]).collect();
        let foreign = || Fault::at(line, format!("a letter of {} is not in the alphabet", shown(&text_of(sequence))));
        coded.push((values.ok_or_else(foreign)?, line, reward));
    }
    coded.sort_unstable_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    if let Some(pair) = coded.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Fault::at(pair[1].1, format!("the sequence is given twice (also in line {})", pair[0].1)));
    }
    let rewards = coded.iter().map(|&(_, line, reward)| (line, reward)).collect();
    let values = coded.into_iter().flat_map(|row| row.0).collect();
    Ok(Rows { alphabet: text_of(&letters), sites, values, rewards })
}

/// Whether a character can be a letter of a sequence.
pub fn is_letter(letter: u8) -> bool {
    letter.is_ascii_graphic() && letter != b',' && letter != b'"'
}

fn text_of(letters: &[u8]) -> String {
    letters.iter().map(|&letter| char::from(letter)).collect()
}
