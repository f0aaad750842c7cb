//! What a suite varies: key paths with their values, and the product of them.

use toml::{Table, Value};

use crate::config::{self, ConfigError};

/// A key path and the values it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub key: String,
    pub values: Vec<Value>,
}

/// The keys of a table with the tables in it taken apart: `a.b = 1`, `"a.b" = 1` and `a = { b = 1 }` are the same.
pub fn flatten(table: &Table) -> Vec<(String, Value)> {
    let parts = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) => {
            flatten(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)).collect()
        }
        value => vec![(key.clone(), value.clone())],
    });
    parts.collect()
}

/// Lays the keys of `changes` over `table`.
pub fn overlay(table: &mut Table, changes: &Table) -> Result<(), ConfigError> {
    flatten(changes).into_iter().try_for_each(|(key, value)| config::insert(table, &key, value))
}

/// The axes of the table `[grid]`: lists of distinct values under distinct keys.
pub fn axes(grid: &Table) -> Result<Vec<Axis>, ConfigError> {
    let mut axes: Vec<Axis> = Vec::new();
    for (key, value) in flatten(grid) {
        let refuse = |what: &str| Err(ConfigError::new(format!("grid.{key} = {value}: {what}")));
        if key == "seed" {
            return refuse("seeds belong to the key `seeds` of the suite");
        }
        if axes.iter().any(|axis| axis.key == key) {
            return refuse("the key is there twice");
        }
        let Value::Array(values) = &value else { return refuse("must be a list of values") };
        if values.is_empty() {
            return refuse("must have at least one value");
        }
        if values.iter().any(Value::is_table) {
            return refuse("a table cannot be a value of a list; use [[variants]]");
        }
        if (1..values.len()).any(|index| values[..index].contains(&values[index])) {
            return refuse("a value is there twice");
        }
        axes.push(Axis { key, values: values.clone() });
    }
    Ok(axes)
}

/// Moves the axes of the group to the front, in its order, and says how many there are. Without a group, those that
/// vary the target make it.
pub fn lead(axes: &mut [Axis], group: Option<&[String]>) -> Result<usize, ConfigError> {
    let group = match group {
        Some(keys) => keys.to_vec(),
        None => axes.iter().map(|axis| axis.key.clone()).filter(|key| key.starts_with("target.")).collect(),
    };
    if let Some(key) = group.iter().find(|key| axes.iter().all(|axis| axis.key != **key)) {
        return Err(ConfigError::new(format!("group: {:?} is not a key of the grid", config::quoted(key))));
    }
    axes.sort_by_key(|axis| group.iter().position(|key| *key == axis.key).unwrap_or(group.len()));
    Ok(axes.iter().filter(|axis| group.contains(&axis.key)).count())
}

/// Every combination of one value an axis, the last axis changing fastest.
pub fn product(axes: &[Axis]) -> Vec<Vec<&Value>> {
    axes.iter().fold(vec![Vec::new()], |done, axis| {
        let extended = |start: &Vec<_>, value| start.iter().copied().chain([value]).collect();
        done.iter().flat_map(|start| axis.values.iter().map(move |value| extended(start, value))).collect()
    })
}

/// A value as a table shows it: strings without their quotes.
pub fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_axis_changes_fastest() {
        let axes = axes(&table("'a.x' = [1, 2]\nb = ['u', 'v', 'w']")).unwrap();
        let rows: Vec<String> =
            product(&axes).iter().map(|row| row.iter().map(|value| shown(value)).collect::<String>()).collect();
        assert_eq!(rows, ["1u", "1v", "1w", "2u", "2v", "2w"]);
        assert_eq!(product(&[]).len(), 1);
    }

    #[test]
    fn quoted_paths_and_tables_are_the_same() {
        let expected = [("a.b".to_string(), Value::Integer(1))];
        for text in ["'a.b' = 1", "a.b = 1", "[a]\nb = 1"] {
            assert_eq!(flatten(&table(text)), expected);
        }
        let mut base = table("[a]\nb = 0\nc = 2");
        overlay(&mut base, &table("'a.b' = 1")).unwrap();
        assert_eq!(base, table("[a]\nb = 1\nc = 2"));
    }

    #[test]
    fn what_is_no_axis_is_refused() {
        let cases = [
            ("seed = [1]", "grid.seed"),
            ("'a.b' = 3", "grid.a.b = 3: must be a list"),
            ("'a.b' = []", "grid.a.b = []: must have at least one"),
            ("'a.b' = [1, 1]", "grid.a.b = [1, 1]: a value is there twice"),
            ("a.b = [{ c = 1 }]", "grid.a.b"),
            ("'a.b' = [1]\na.b = [2]", "the key is there twice"),
        ];
        for (text, expected) in cases {
            let message = axes(&table(text)).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
