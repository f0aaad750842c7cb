//! In which keys two configurations differ.

use std::collections::BTreeSet;
use std::fmt;

use toml::{Table, Value};

use super::error::quoted;

/// A key that two configurations do not have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The whole key, "training.batch".
    pub key: String,
    /// Its value in the one and in the other; none where the key is not set.
    pub values: [Option<Value>; 2],
}

/// Every key in which two configurations differ, in the order of the keys.
pub fn differences(one: &Table, other: &Table) -> Vec<Difference> {
    let mut found = Vec::new();
    collect("", one, other, &mut found);
    found
}

fn collect(path: &str, one: &Table, other: &Table, found: &mut Vec<Difference>) {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        match (one.get(key), other.get(key)) {
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                collect(&format!("{path}{key}."), one, other, found);
            }
            (one, other) if one == other => {}
            (one, other) => {
                found.push(Difference { key: format!("{path}{key}"), values: [one.cloned(), other.cloned()] });
            }
        }
    }
}

impl fmt::Display for Difference {
    /// "training.batch is 64, not 128"
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [one, other] = &self.values;
        let shown = |value: &Option<Value>| value.as_ref().map_or("unset".into(), quoted);
        write!(f, "{} is {}, not {}", self.key, shown(one), shown(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_named_with_both_values() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let one = table("seed = 1\ntraining = { batch = 64, iterations = 5 }\ntarget = { kind = 'ising' }");
        let other = table("seed = 2\ntraining = { batch = 64 }\ntarget = { kind = 'ising', side = 3 }");
        let found: Vec<String> = differences(&one, &other).iter().map(Difference::to_string).collect();
        assert_eq!(found, ["seed is 1, not 2", "target.side is unset, not 3", "training.iterations is 5, not unset"]);
        assert!(differences(&one, &one).is_empty());
    }
}
