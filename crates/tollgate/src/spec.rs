//! Names with parameters, as on the command line: `name:key=value,key=[value,value]`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A parsed `NAME[:key=value,...]`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Spec {
    /// The name.
    pub name: String,
    /// The parameters, sorted by key.
    pub params: BTreeMap<String, String>,
}

/// A name or parameter that does not parse, or that nothing answers to.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Not of the form.
    #[error("`{spec}` is not NAME[:key=value,...]: {why}")]
    Form {
        /// What was written.
        spec: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name that nothing answers to.
    #[error("no {kind} is called `{got}`; there are {valid}")]
    Unknown {
        /// Of what.
        kind: &'static str,
        /// The name.
        got: String,
        /// The names there are.
        valid: String,
    },
    /// A parameter that the named thing does not take, or not with this value.
    #[error("{kind} `{name}`: {why}")]
    Param {
        /// Of what.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl Spec {
    /// A name without parameters.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: BTreeMap::new() }
    }

    /// Reads the parameters into a configuration struct: the one that also reads
    /// configuration files, so a key that is not its field is refused with the list
    /// of those that are.
    ///
    /// # Errors
    /// [`SpecError::Param`].
    pub fn config<T: DeserializeOwned>(&self, kind: &'static str) -> Result<T, SpecError> {
        self.read(kind, toml::Table::new())
    }

    /// The same over other values than the struct's own defaults.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub fn config_over<T: DeserializeOwned + Serialize>(
        &self,
        kind: &'static str,
        defaults: &T,
    ) -> Result<T, SpecError> {
        let table = toml::Table::try_from(defaults).map_err(|error| SpecError::Param {
            kind,
            name: self.name.clone(),
            why: error.to_string(),
        })?;
        self.read(kind, table)
    }

    fn read<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        mut table: toml::Table,
    ) -> Result<T, SpecError> {
        for (key, text) in &self.params {
            // A bare word is a string; everything else is written as in TOML.
            let value = text.parse().unwrap_or_else(|_| toml::Value::String(text.clone()));
            table.insert(key.clone(), value);
        }
        table.try_into().map_err(|error: toml::de::Error| SpecError::Param {
            kind,
            name: self.name.clone(),
            why: error.message().to_owned(),
        })
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why| SpecError::Form { spec: text.to_owned(), why };
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() {
            return Err(refuse("the name is empty"));
        }
        let mut params = BTreeMap::new();
        for pair in pairs(rest).filter(|pair| !pair.is_empty()) {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| refuse("a parameter has no `=`"))?;
            if params.insert(key.trim().to_owned(), value.trim().to_owned()).is_some() {
                return Err(refuse("a parameter is given twice"));
            }
        }
        Ok(Self { name: name.to_owned(), params })
    }
}

/// The parts between commas; those inside a list's brackets belong to the list.
fn pairs(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth <= 0
    })
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (key, value)) in self.params.iter().enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_go_there_and_back() {
        let list = "port:eps=0.1,prices=[0.5, 0.25]";
        for text in ["port", "port:eps=0.1", "knn:k=40,weighting=similarity", list] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refusals() {
        let message = |text: &str| text.parse::<Spec>().unwrap_err().to_string();
        insta::assert_snapshot!(message(":k=1"), @"`:k=1` is not NAME[:key=value,...]: the name is empty");
        insta::assert_snapshot!(message("knn:k"), @"`knn:k` is not NAME[:key=value,...]: a parameter has no `=`");
        insta::assert_snapshot!(message("knn:k=1,k=2"), @"`knn:k=1,k=2` is not NAME[:key=value,...]: a parameter is given twice");
    }
}
