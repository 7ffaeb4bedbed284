//! The exchange of versions under a model checker, which runs every interleaving of a few
//! threads: the same source as the router's, with the checker's locks.

mod sync {
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, RwLock};
}

#[path = "../src/router/versions.rs"]
mod versions;

use loom::sync::Arc;
use loom::thread;

use self::versions::Versions;

/// A pool of models, and how often each of them was picked: the state must never be indexed by
/// what was read of another pool.
fn pool(models: &[&'static str]) -> (Vec<&'static str>, Vec<(&'static str, usize)>) {
    (models.to_vec(), models.iter().map(|model| (*model, 0)).collect())
}

type Pools = Versions<Vec<&'static str>, Vec<(&'static str, usize)>>;

/// Picks the last model: as long as it takes, and never by an index of another pool.
fn route(pools: &Pools) -> &'static str {
    loop {
        let read = pools.read();
        let index = read.len() - 1;
        let picked = pools.with_state(&read, |counts| {
            assert_eq!(counts.len(), read.len(), "the state of another pool");
            assert_eq!(counts[index].0, read[index], "another model of that index");
            counts[index].1 += 1;
            counts[index].0
        });
        if let Some(picked) = picked {
            return picked;
        }
        thread::yield_now();
    }
}

fn add(pools: &Pools, model: &'static str) {
    let change = pools.change();
    let mut next = change.current().to_vec();
    next.insert(0, model);
    change.replace(next, |counts| counts.insert(0, (model, 0)));
}

fn picked(pools: &Pools) -> usize {
    pools.with_any_state(|counts| counts.iter().map(|(_, picks)| picks).sum())
}

/// `readers` threads route while a model comes: every decision is made and counted, none by an
/// index of the other pool.
fn route_while_a_model_comes(readers: usize) {
    let (models, counts) = pool(&["b"]);
    let pools = Arc::new(Versions::new(models, counts));
    let routing: Vec<_> = (0..readers)
        .map(|_| {
            let pools = Arc::clone(&pools);
            thread::spawn(move || assert_eq!(route(&pools), "b"))
        })
        .collect();
    add(&pools, "a");
    for thread in routing {
        thread.join().expect("no thread panics");
    }
    assert_eq!(picked(&pools), readers);
    assert_eq!(*pools.read(), ["a", "b"]);
}

#[test]
fn no_decision_is_lost_and_none_reads_two_pools() {
    loom::model(|| route_while_a_model_comes(1));
}

/// With two readers every interleaving of at most two preemptions: all of them take minutes.
#[test]
fn two_readers_and_a_writer() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| route_while_a_model_comes(2));
}

/// Two models come at a time while a third thread routes: neither writer loses the other's
/// change.
#[test]
fn no_change_is_lost() {
    loom::model(|| {
        let (models, counts) = pool(&["c"]);
        let pools = Arc::new(Versions::new(models, counts));
        let other = Arc::clone(&pools);
        let writer = thread::spawn(move || add(&other, "a"));
        add(&pools, "b");
        writer.join().unwrap();
        assert_eq!(route(&pools), "c");
        assert_eq!(pools.read().len(), 3);
    });
}

/// What is refined keeps its indices: readers of the version before are let in.
#[test]
fn a_refined_version_turns_nobody_away() {
    loom::model(|| {
        let (models, counts) = pool(&["a"]);
        let pools = Arc::new(Versions::new(models, counts));
        let read = pools.read();
        let other = Arc::clone(&pools);
        let writer = thread::spawn(move || {
            let change = other.change();
            let next = change.current().to_vec();
            change.refine(next, |counts| counts[0].1 += 1);
        });
        let let_in = pools.with_state(&read, |counts| counts[0].1 += 1);
        assert!(let_in.is_some());
        writer.join().unwrap();
        assert_eq!(picked(&pools), 2);
    });
}

/// The last reader of a version frees it, and nobody else keeps it.
#[test]
fn former_versions_are_freed() {
    loom::model(|| {
        let kept = Arc::new(());
        let pools = Arc::new(Versions::new(vec![Arc::clone(&kept)], ()));
        let other = Arc::clone(&pools);
        let reader = thread::spawn(move || drop(other.read()));
        pools.change().replace(Vec::new(), |()| {});
        reader.join().unwrap();
        assert_eq!(Arc::strong_count(&kept), 1);
    });
}
