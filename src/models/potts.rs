//! Potts models of direct coupling analysis: log R = sum of fields h and couplings J over 21 letters a site.
//!
//! adabmDCA: lines `J i j a b value` with i < j and `h i a value`, sites counted from 0, letters of `-ACDEFGHIKLMNPQRSTVWY`; what is not
//! there is 0. CCMpred's raw files: a row of 20 fields for each site (the gap's is 0), then for every pair `# i j` and 21 rows of 21
//! couplings, letters of `ARNDCQEGHILKMFPSTWYV-`; lines that begin with `#>META>` say how the model was made.

use std::collections::BTreeMap;

use super::error::Fault;
use super::graph::{FactorGraph, MOST_ENTRIES};
use super::labels::{Values, Variables};
use super::text::{fields, lines, most_variables, number, shown, whole};

/// Letters of a site.
const LETTERS: usize = 21;
const ADABMDCA: &str = "-ACDEFGHIKLMNPQRSTVWY";
const CCMPRED: &str = "ARNDCQEGHILKMFPSTWYV-";

/// Fields and couplings, those that are there.
#[derive(Default)]
struct Potts {
    fields: BTreeMap<usize, Vec<f64>>,
    couplings: BTreeMap<(usize, usize), Vec<f64>>,
}

impl Potts {
    fn couplings_of(&mut self, line: usize, pair: (usize, usize)) -> Result<&mut Vec<f64>, Fault> {
        let count = self.couplings.len() + 1;
        if count * LETTERS * LETTERS > MOST_ENTRIES {
            return Err(Fault::at(line, format!("more than {} pairs of sites are more than can be held", count - 1)));
        }
        Ok(self.couplings.entry(pair).or_default())
    }

    /// The model, the fields that are there before all couplings.
    fn graph(self, sites: usize, alphabet: &'static str) -> FactorGraph {
        let mut graph = FactorGraph::new(vec![LETTERS as u16; sites]);
        self.fields.into_iter().for_each(|(site, fields)| graph.push(&[site as u32], fields));
        let couplings = self.couplings.into_iter();
        couplings.for_each(|((first, second), table)| graph.push(&[first as u32, second as u32], table));
        graph.labelled(Variables::From(0), Values::Letters(alphabet.into()))
    }
}

pub(super) fn read_adabmdca(text: &str) -> Result<FactorGraph, Fault> {
    let most = most_variables(text) - 1;
    let site = |line, word| whole(line, word, "a site", 0..=most);
    let letter = |line, word: &str| match ADABMDCA.find(word) {
        Some(place) if word.len() == 1 => Ok(place),
        _ => Err(Fault::at(line, format!("{} is none of the letters {ADABMDCA}", shown(word)))),
    };
    let mut model = Potts::default();
    let mut sites = 0;
    // NaN is what was not given.
    let set = |line, table: &mut Vec<f64>, size: usize, place: usize, value| {
        table.resize(size, f64::NAN);
        let twice = !std::mem::replace(&mut table[place], value).is_nan();
        if twice { Err(Fault::at(line, "this number is given twice")) } else { Ok(()) }
    };
    for (line, content) in lines(text) {
        if content.starts_with('h') {
            let [_, i, a, value] = fields(line, content, "h i a value")?;
            let (i, a, value) = (site(line, i)?, letter(line, a)?, number(line, value, "a field")?);
            set(line, model.fields.entry(i).or_default(), LETTERS, a, value)?;
            sites = sites.max(i + 1);
        } else {
            let [kind, i, j, a, b, value] = fields(line, content, "J i j a b value` or `h i a value")?;
            if kind != "J" {
                return Err(Fault::at(line, format!("a line begins with {}: it must be `J` or `h`", shown(kind))));
            }
            let (i, j) = (site(line, i)?, site(line, j)?);
            if i >= j {
                return Err(Fault::at(line, format!("a coupling of sites {i} and {j}: the first must be the smaller")));
            }
            let place = letter(line, a)? * LETTERS + letter(line, b)?;
            let value = number(line, value, "a coupling")?;
            set(line, model.couplings_of(line, (i, j))?, LETTERS * LETTERS, place, value)?;
            sites = sites.max(j + 1);
        }
    }
    if sites == 0 {
        return Err(Fault::new("it has neither couplings nor fields"));
    }
    let missing = |value: &mut f64| *value = if value.is_nan() { 0.0 } else { *value };
    model.fields.values_mut().chain(model.couplings.values_mut()).flatten().for_each(missing);
    Ok(model.graph(sites, ADABMDCA))
}

pub(super) fn read_ccmpred(text: &str) -> Result<FactorGraph, Fault> {
    let mut model = Potts::default();
    let mut sites = 0;
    let mut rows = lines(text).filter(|(_, content)| !content.starts_with("#>META>")).peekable();
    while let Some((line, content)) = rows.next_if(|(_, content)| !content.starts_with('#')) {
        let mut fields = row::<{ LETTERS - 1 }>(line, content, "a row of 20 fields")?;
        fields.push(0.0);
        model.fields.insert(sites, fields);
        sites += 1;
    }
    if sites == 0 {
        return Err(Fault::new("it begins with no row of fields"));
    }
    while let Some((line, head)) = rows.next() {
        let [mark, i, j] = fields(line, head, "# i j")?;
        let [i, j] = [i, j].map(|word| whole(line, word, "a site", 0..=sites - 1));
        let (i, j) = (i?, j?);
        if mark != "#" || i >= j {
            return Err(Fault::at(line, format!("expected `# i j` with i < j, found {}", shown(head))));
        }
        let table = model.couplings_of(line, (i, j))?;
        if !table.is_empty() {
            return Err(Fault::at(line, format!("the pair of sites {i} and {j} is given twice")));
        }
        for _ in 0..LETTERS {
            let (line, content) = rows.next().ok_or_else(|| {
                Fault::at(text.lines().count().max(1), format!("the file ends in the couplings of sites {i} and {j}"))
            })?;
            table.extend(row::<LETTERS>(line, content, "a row of 21 couplings")?);
        }
    }
    Ok(model.graph(sites, CCMPRED))
}

/// The numbers of a line, `N` of them.
fn row<const N: usize>(line: usize, content: &str, what: &str) -> Result<Vec<f64>, Fault> {
    let words: [&str; N] = fields(line, content, what)?;
    words.into_iter().map(|word| number(line, word, "a number of it")).collect()
}
