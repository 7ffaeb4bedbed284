//! What was measured of a variant, and a file that keeps it, so that hours of runs can be
//! taken up again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One variant of one stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) stream: String,
    pub(super) variant: String,
    pub(super) seeds: Vec<u64>,
    /// Names, and Performance by seed.
    pub(super) entrants: Vec<(String, Vec<f64>)>,
}

/// [`Measured`] as it stands in the file, one a line.
type Record = (String, String, Vec<u64>, Vec<(String, Vec<f64>)>);

/// What a file has, or has nowhere to keep.
#[derive(Debug)]
pub(super) struct Kept {
    path: Option<PathBuf>,
    measured: Vec<Measured>,
}

impl Kept {
    /// Reads what there is; a file that is not there yet has nothing.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let text = match path.filter(|path| path.exists()) {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("can't read {}", path.display()))?,
            None => String::new(),
        };
        let read = |(at, line): (usize, &str)| {
            let (stream, variant, seeds, entrants): Record = serde_json::from_str(line)
                .with_context(|| format!("line {} of the kept results", at + 1))?;
            Ok(Measured { stream, variant, seeds, entrants })
        };
        let measured = text.lines().enumerate().map(read).collect::<Result<_>>()?;
        Ok(Self { path: path.map(Path::to_path_buf), measured })
    }

    /// The same line on the same seeds with the same entrants, where it is there.
    pub(super) fn find(
        &self,
        stream: &str,
        variant: &str,
        seeds: &[u64],
        entrants: &[String],
    ) -> Option<Measured> {
        let same = |kept: &&Measured| {
            let names = kept.entrants.iter().map(|(name, _)| name);
            (kept.stream.as_str(), kept.variant.as_str(), kept.seeds.as_slice())
                == (stream, variant, seeds)
                && names.eq(entrants)
        };
        self.measured.iter().find(same).cloned()
    }

    /// Writes a line behind the others.
    pub(super) fn add(&mut self, new: Measured) -> Result<Measured> {
        if let Some(path) = &self.path {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            let record = (&new.stream, &new.variant, &new.seeds, &new.entrants);
            writeln!(file, "{}", serde_json::to_string(&record)?)?;
        }
        self.measured.push(new.clone());
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again() {
        let path = std::env::temp_dir().join(format!("tollgate-kept-{}", std::process::id()));
        let of = |seeds: &[u64]| Measured {
            stream: "s".to_owned(),
            variant: "task a, \"b\"".to_owned(),
            seeds: seeds.to_vec(),
            entrants: vec![("port".to_owned(), vec![0.1 + 0.2, 7.0])],
        };
        Kept::open(Some(&path)).unwrap().add(of(&[100, 101])).unwrap();
        let kept = Kept::open(Some(&path)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let names = ["port".to_owned()];
        let find = |seeds: &[u64], names: &[String]| kept.find("s", "task a, \"b\"", seeds, names);
        assert_eq!(find(&[100, 101], &names), Some(of(&[100, 101])));
        assert_eq!(find(&[100], &names), None, "other seeds");
        assert_eq!(find(&[100, 101], &[]), None, "other entrants");
    }
}
