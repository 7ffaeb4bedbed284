//! Programs to compare with, in a Python process that answers commands: one line of JSON
//! each way.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The process.
pub(super) struct Pipe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    /// Starts a script, whose path is that from the root.
    pub(super) fn open(python: &str, script: &str) -> Result<Self> {
        let mut command = Command::new(python);
        // One thread on both sides, whatever the libraries would like.
        command.args(["-u", script]).env("OMP_NUM_THREADS", "1").current_dir(crate::root());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("can't run {python} {script}"))?;
        let input = child.stdin.take().context("the child's input is piped")?;
        let output = BufReader::new(child.stdout.take().context("the child's output is piped")?);
        Ok(Self { child, input, output })
    }

    pub(super) fn ask(&mut self, command: &Value) -> Result<Value> {
        writeln!(self.input, "{command}").context("the comparison has ended early")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the comparison has ended early, at {command}");
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // It ends by itself at the end of its input; this is for one that hangs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes an array for the process to read, value by value in little-endian bytes; answers
/// where.
pub(super) fn hand_over<const N: usize>(
    name: &str,
    values: impl Iterator<Item = [u8; N]>,
) -> Result<String> {
    let folder = crate::root().join("target/bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    for value in values {
        file.write_all(&value)?;
    }
    file.flush()?;
    Ok(path.to_string_lossy().into_owned())
}
