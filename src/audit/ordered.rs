//! Reading, working and writing at the same time, in the order of reading.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::{Error, Result};

/// A numbered item on its way.
type Numbered<T> = (usize, Result<T>);

/// Takes items from `source` in a thread of its own, gives them to `workers` threads that run `work`, and hands the
/// results to `sink` in the source's order, on the caller's thread. Of all that has been read, at most `workers + 1`
/// items have not left the sink yet, whichever stage they are in, so memory is bounded by the size of an item.
///
/// # Errors
/// The first error in the source's order: of the source, of `work` or of `sink`. Nothing after it reaches the sink.
pub fn in_order<T: Send, R: Send>(
    source: impl Iterator<Item = Result<T>> + Send,
    workers: usize,
    work: &(impl Fn(T) -> Result<R> + Sync),
    sink: &mut impl FnMut(R) -> Result<()>,
) -> Result<()> {
    // The reader needs a permit for each item, and the sink gives one back for each result. The other two channels
    // hold as many as there are permits, so nobody ever waits to send, and a sink that fails or panics ends the reader,
    // which ends the workers.
    let window = workers + 1;
    let (permit, permits) = sync_channel::<()>(window);
    let (to_work, items) = sync_channel::<Numbered<T>>(window);
    let (done, results) = sync_channel::<Numbered<R>>(window);
    let (items, ended) = (Mutex::new(items), AtomicBool::new(false));
    thread::scope(|scope| {
        (0..window).for_each(|_| permit.send(()).unwrap_or_default());
        scope.spawn(move || read(source, &permits, &to_work));
        for _ in 0..workers {
            let (done, items, ended) = (done.clone(), &items, &ended);
            scope.spawn(move || while step(items, work, &done).is_some() && !ended.load(Ordering::Relaxed) {});
        }
        drop(done);
        let outcome = collect(&results, permit, sink);
        ended.store(outcome.is_err(), Ordering::Relaxed);
        outcome
    })
}

/// Numbers the items, one for each permit; ends with the source, with its first error, or when there are no more
/// permits to come.
fn read<T>(source: impl Iterator<Item = Result<T>>, permits: &Receiver<()>, to: &SyncSender<Numbered<T>>) {
    let mut source = source.enumerate();
    while permits.recv().is_ok() {
        let Some((number, item)) = source.next() else { return };
        let failed = item.is_err();
        if to.send((number, item)).is_err() || failed {
            return;
        }
    }
}

/// Works on one item; `None` at the end of the items, or when nobody takes results any more.
fn step<T, R>(
    items: &Mutex<Receiver<Numbered<T>>>,
    work: &impl Fn(T) -> Result<R>,
    done: &SyncSender<Numbered<R>>,
) -> Option<()> {
    // The lock is held while waiting: one worker waits for the reader, the others for that worker.
    let (number, item) = items.lock().ok()?.recv().ok()?;
    done.send((number, item.and_then(work))).ok()
}

/// Puts results back into order.
fn collect<R>(
    results: &Receiver<Numbered<R>>,
    permit: SyncSender<()>,
    sink: &mut impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let mut early = std::collections::BTreeMap::new();
    let mut next = 0;
    for (number, result) in results {
        early.insert(number, result);
        while let Some(result) = early.remove(&next) {
            sink(result?)?;
            next += 1;
            // Nobody takes it where the reader has come to its end.
            permit.send(()).unwrap_or_default();
        }
    }
    match early.is_empty() {
        true => Ok(()),
        false => Err(Error::bug("putting batches in order", format!("batch {next} is missing"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    /// Odd items take long, so results come out of order.
    fn slow(item: u64) -> Result<u64> {
        thread::sleep(Duration::from_millis(if item % 2 == 1 { 6 } else { 1 }));
        Ok(item * 10)
    }

    #[test]
    fn results_come_in_the_order_of_the_source() {
        for workers in 1..4 {
            let mut seen = Vec::new();
            let push = &mut |result| {
                seen.push(result);
                Ok(())
            };
            in_order((0..20).map(Ok), workers, &slow, push).unwrap();
            assert_eq!(seen, (0..20).map(|i| i * 10).collect::<Vec<_>>());
        }
        in_order((0..0).map(Ok), 2, &slow, &mut |_| panic!("nothing was given")).unwrap();
    }

    #[test]
    fn the_first_error_in_order_ends_it_and_every_thread() {
        let bad = |at: u64| Error::bug("test", at);
        let source = || (0..1000).map(|i| if i == 7 { Err(bad(i)) } else { Ok(i) });
        for (from_work, from_sink, expected) in [(99, 99, 7), (5, 99, 5), (99, 3, 3)] {
            let mut seen = 0;
            let work = |item: u64| if item == from_work { Err(bad(item)) } else { slow(item) };
            let sink = &mut |result: u64| {
                seen += 1;
                if result == from_sink * 10 { Err(bad(from_sink)) } else { Ok(()) }
            };
            let error = in_order(source(), 2, &work, sink).unwrap_err().to_string();
            assert!(error.contains(&expected.to_string()), "{error}");
            assert!(seen <= expected + 1, "{seen}");
        }
    }

    #[test]
    fn the_reader_does_not_run_ahead() {
        let read = AtomicUsize::new(0);
        let source = (0..200u64).map(|item| {
            read.fetch_add(1, Ordering::SeqCst);
            Ok(item)
        });
        let mut taken = 0;
        in_order(source, 2, &Ok, &mut |_| {
            thread::sleep(Duration::from_micros(200));
            // Two workers: of what was read, three have not left the sink, the one in it included.
            let read = read.load(Ordering::SeqCst);
            assert!(read <= taken + 3, "{read} read, {taken} taken");
            taken += 1;
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_panic_of_the_sink_ends_every_thread() {
        let ended = std::panic::catch_unwind(|| in_order((0..100u64).map(Ok), 2, &slow, &mut |_| panic!("full")));
        assert!(ended.is_err());
    }
}
