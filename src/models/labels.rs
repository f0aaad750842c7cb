//! What a file calls its variables and their values.

use std::borrow::Cow;

/// Names of variables and of their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Of variables.
    pub variables: Variables,
    /// Of values, alike for all variables.
    pub values: Values,
}

/// Names of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variables {
    /// Whole numbers, from this one on.
    From(usize),
    /// One each.
    Named(Vec<String>),
}

/// Names of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// 0, 1, ...
    Numbers,
    /// -1 and 1.
    Spins,
    /// The letters of an alphabet, ASCII characters.
    Letters(Cow<'static, str>),
}

impl Labels {
    /// What the file calls this variable.
    pub fn variable(&self, variable: usize) -> Cow<'_, str> {
        match &self.variables {
            Variables::From(first) => (first + variable).to_string().into(),
            Variables::Named(names) => names[variable].as_str().into(),
        }
    }

    /// What the file calls this value.
    pub fn value(&self, value: usize) -> Cow<'_, str> {
        match &self.values {
            Values::Numbers => value.to_string().into(),
            Values::Spins => (if value == 0 { "-1" } else { "1" }).into(),
            Values::Letters(letters) => letters.get(value..=value).unwrap_or("?").into(),
        }
    }
}
