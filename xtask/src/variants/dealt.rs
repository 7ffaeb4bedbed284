//! Streams whose prompts tell nothing but their task: the control for who wins by luck.

use anyhow::Result;
use tollgate::core::{Purpose, Seed};
use tollgate::data::{Table, TableParts};

/// The same table with the embeddings of each task's prompts dealt out anew among them.
pub(super) fn within_tasks(table: &Table, seed: Seed) -> Result<Table> {
    let dim = table.dim();
    let mut embeddings = table.embeddings().to_vec();
    for task in 0..table.task_names().len() {
        let rows: Vec<usize> =
            (0..table.len()).filter(|&row| table.tasks()[row] as usize == task).collect();
        let mut from = rows.clone();
        seed.stream(Purpose::Synthesis, task as u64).shuffle(&mut from);
        for (&to, &from) in rows.iter().zip(&from) {
            embeddings[to * dim..(to + 1) * dim]
                .copy_from_slice(&table.embeddings()[from * dim..(from + 1) * dim]);
        }
    }
    Ok(Table::new(TableParts {
        name: table.source().to_owned(),
        models: table.models().iter().map(ToString::to_string).collect(),
        tasks: (0..table.len()).map(|row| table.task(row).to_owned()).collect(),
        quality: table.quality().to_vec(),
        cost: table.cost().to_vec(),
        dim,
        embeddings,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is lost, and every embedding stays in its task.
    #[test]
    fn embeddings_move_within_their_task() {
        let table = Table::embedded();
        let dealt = within_tasks(&table, Seed(1)).unwrap();
        assert_eq!(dealt.quality(), table.quality());
        let of_task = |table: &Table, task: u32| {
            let rows = table.embeddings().chunks_exact(table.dim()).zip(table.tasks());
            let mut rows: Vec<Vec<u32>> = rows
                .filter(|(_, own)| **own == task)
                .map(|(row, _)| row.iter().map(|x| x.to_bits()).collect())
                .collect();
            rows.sort();
            rows
        };
        for task in 0..2 {
            assert_eq!(of_task(&dealt, task), of_task(&table, task));
        }
        assert_ne!(dealt.embeddings(), table.embeddings());
    }
}
