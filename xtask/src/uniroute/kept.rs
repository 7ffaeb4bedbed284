//! What was measured of a method on a view, and a file that keeps it, so that hours of trials
//! can be taken up again, and one method more costs no more than its own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tollgate::core::Seed;
use tollgate_lab::uniroute::{Comparison, Line, Method, Scores, compare};

use super::{Steps, views::View};

/// One method on one view, one a line: the view's name, its protocol, the method, the seeds,
/// what it came to, and its curves.
type Record = (String, String, String, Vec<u64>, Vec<Scores>, Vec<Vec<f64>>);

/// What a file has, or has nowhere to keep.
#[derive(Debug)]
pub(super) struct Kept {
    path: Option<PathBuf>,
    records: Vec<Record>,
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
            serde_json::from_str(line)
                .with_context(|| format!("line {} of the kept trials", at + 1))
        };
        let records = text.lines().enumerate().map(read).collect::<Result<_>>()?;
        Ok(Self { path: path.map(Path::to_path_buf), records })
    }

    /// All methods on a view: those that are kept as they are, the others measured, and kept
    /// method by method where there is a file.
    pub(super) fn compare(
        &mut self,
        view: &View,
        methods: &[Method],
        seeds: &[Seed],
    ) -> Result<Comparison> {
        let run = |methods: &[Method]| {
            compare(&view.name, &view.table, &view.protocol, methods, seeds, &Steps::default())
                .with_context(|| view.name.clone())
        };
        if self.path.is_none() {
            // In one go, so that a trial is cut once.
            return run(methods);
        }
        let protocol = serde_json::to_string(&view.protocol)?;
        let numbers: Vec<u64> = seeds.iter().map(|seed| seed.0).collect();
        let mut all = run(&[])?;
        for method in methods {
            let kept = self.find(&view.name, &protocol, &method.label, &numbers);
            if let Some((.., trials, profiles)) = kept {
                let (label, family) = (method.label.clone(), method.family);
                let (trials, profiles) = (trials.clone(), profiles.clone());
                all.lines.push(Line { label, family, trials, profiles });
                continue;
            }
            eprintln!("{}: {method}", view.name);
            let line = run(std::slice::from_ref(method))?.lines.remove(0);
            self.add((
                view.name.clone(),
                protocol.clone(),
                line.label.clone(),
                numbers.clone(),
                line.trials.clone(),
                line.profiles.clone(),
            ))?;
            all.lines.push(line);
        }
        Ok(all)
    }

    fn find(&self, view: &str, protocol: &str, method: &str, seeds: &[u64]) -> Option<&Record> {
        self.records.iter().find(|record| {
            (record.0.as_str(), record.1.as_str(), record.2.as_str(), record.3.as_slice())
                == (view, protocol, method, seeds)
        })
    }

    /// Writes a line behind the others.
    fn add(&mut self, record: Record) -> Result<()> {
        if let Some(path) = &self.path {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            writeln!(file, "{}", serde_json::to_string(&record)?)?;
        }
        self.records.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tollgate::data::Table;
    use tollgate_lab::uniroute::Protocol;

    use super::*;

    /// What is kept is not measured again, and what is measured is the same either way.
    #[test]
    fn kept_trials_are_the_trials() {
        let path = std::env::temp_dir().join(format!("tollgate-trials-{}", std::process::id()));
        let view = View {
            name: "embedded".to_owned(),
            table: Table::embedded(),
            protocol: Protocol::default(),
            judged: false,
            embedded: true,
        };
        let methods = |names: &[&str]| -> Vec<Method> {
            names.iter().flat_map(|name| Method::parse(name).unwrap()).collect()
        };
        let seeds = [Seed(1), Seed(2)];
        let names = ["zero-router", "oracle"];
        let plain = Kept::open(None).unwrap().compare(&view, &methods(&names), &seeds).unwrap();
        Kept::open(Some(&path)).unwrap().compare(&view, &methods(&names[..1]), &seeds).unwrap();
        let mut kept = Kept::open(Some(&path)).unwrap();
        assert_eq!(kept.records.len(), 1);
        let found = kept.compare(&view, &methods(&names), &seeds).unwrap();
        assert_eq!((kept.records.len(), found.sizes), (2, plain.sizes));
        // Other seeds, or another protocol, are another measurement.
        kept.compare(&view, &methods(&names[..1]), &seeds[..1]).unwrap();
        let protocol = Protocol { labels: 100, ..view.protocol };
        kept.compare(&View { protocol, ..view }, &methods(&names[..1]), &seeds).unwrap();
        let again = std::fs::read_to_string(&path).unwrap().lines().count();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((kept.records.len(), again), (4, 4));
        for (a, b) in found.lines.iter().zip(&plain.lines) {
            assert_eq!((&a.label, &a.trials, &a.profiles), (&b.label, &b.trials, &b.profiles));
        }
    }
}
