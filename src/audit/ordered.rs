//! Reading, working and writing at the same time, in the order of reading.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::{Error, Result};

/// A numbered item on its way.
type Numbered<T> = (usize, Result<T>);

/// How much may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Threads that work. As many items wait to be worked on, so that none of them waits for the reader.
    pub workers: usize,
    /// Items that have been read and have not left the sink: so far others go on while one of them takes long. At least
    /// one more than there are workers.
    pub most: usize,
}

/// Takes items from `source` in a thread of its own, gives them to threads that run `work`, and hands the results to
/// `sink` in the source's order, on the caller's thread.
///
/// An item is taken when a thread is free, and a result waits for those before it, not for those beside it: one item that
/// takes long keeps one thread, until [`Window::most`] others have been finished behind it. At most `2 * workers + 1`
/// items are in memory, and at most `most` results.
///
/// # Errors
/// The first error in the source's order: of the source, of `work` or of `sink`. Nothing after it reaches the sink.
pub fn in_order<T: Send, R: Send>(
    source: impl Iterator<Item = Result<T>> + Send,
    window: Window,
    work: &(impl Fn(T) -> Result<R> + Sync),
    sink: &mut impl FnMut(R) -> Result<()>,
) -> Result<()> {
    // The reader needs a permit for each item, and the sink gives one back for each result. Nobody waits to hand on a
    // result, for there is room for as many as there are permits; the reader waits to hand on an item, and no longer
    // than there are workers, for they own the other end.
    let most = window.most.max(window.workers + 1);
    let (permit, permits) = sync_channel::<()>(most);
    let (to_work, items) = sync_channel::<Numbered<T>>(window.workers);
    let (done, results) = sync_channel::<Numbered<R>>(most);
    let (items, ended) = (Arc::new(Mutex::new(items)), AtomicBool::new(false));
    thread::scope(|scope| {
        (0..most).for_each(|_| permit.send(()).unwrap_or_default());
        scope.spawn(move || read(source, &permits, &to_work));
        for _ in 0..window.workers {
            let (done, items, ended) = (done.clone(), items.clone(), &ended);
            scope.spawn(move || while !ended.load(Ordering::Relaxed) && step(&items, work, &done).is_some() {});
        }
        drop((done, items));
        // Also when the sink panics: else the workers would go on to the end of the source.
        let _over = Over(&ended);
        collect(&results, permit, sink)
    })
}

/// Tells the workers, when it goes, that nobody wants results any more.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Numbers the items, one for each permit; ends with the source, with its first error, when there are no more permits to
/// come, or no workers.
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

    const NARROW: Window = Window { workers: 2, most: 3 };

    /// Odd items take long, so results come out of order.
    fn slow(item: u64) -> Result<u64> {
        thread::sleep(Duration::from_millis(if item % 2 == 1 { 6 } else { 1 }));
        Ok(item * 10)
    }

    #[test]
    fn results_come_in_the_order_of_the_source() {
        for (workers, most) in [(1, 2), (2, 3), (3, 100)] {
            let mut seen = Vec::new();
            let push = &mut |result| {
                seen.push(result);
                Ok(())
            };
            in_order((0..20).map(Ok), Window { workers, most }, &slow, push).unwrap();
            assert_eq!(seen, (0..20).map(|i| i * 10).collect::<Vec<_>>());
        }
        in_order((0..0).map(Ok), NARROW, &slow, &mut |_| panic!("nothing was given")).unwrap();
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
            let error = in_order(source(), NARROW, &work, sink).unwrap_err().to_string();
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
        in_order(source, NARROW, &Ok, &mut |_| {
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
        let ended = std::panic::catch_unwind(|| in_order((0..100u64).map(Ok), NARROW, &slow, &mut |_| panic!("full")));
        assert!(ended.is_err());
    }

    /// The first item ends only after all others have: by order and not by the clock. Where the others had to wait for it,
    /// nothing would ever end.
    #[test]
    fn an_item_that_takes_long_delays_nobody() {
        let (last, wait) = sync_channel(1);
        let (finished, wait) = (AtomicUsize::new(0), Mutex::new(wait));
        let work = |item: u64| {
            if item == 0 {
                wait.lock().unwrap().recv_timeout(Duration::from_secs(60)).map_err(|e| Error::bug("waiting", e))?;
            } else if finished.fetch_add(1, Ordering::SeqCst) + 1 == 99 {
                last.send(()).unwrap();
            }
            Ok(item)
        };
        let mut seen = Vec::new();
        let push = &mut |item| {
            seen.push(item);
            Ok(())
        };
        in_order((0..100).map(Ok), Window { workers: 2, most: 100 }, &work, push).unwrap();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    /// Results may wait by the hundred; items may not, for they hold pictures.
    #[test]
    fn few_items_are_in_memory_while_one_takes_long() {
        let (held, most_held, given) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        struct Item<'a>(u64, &'a AtomicUsize);
        impl Drop for Item<'_> {
            fn drop(&mut self) {
                self.1.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let source = (0..200).map(|number| {
            most_held.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            Ok(Item(number, &held))
        });
        let work = |item: Item<'_>| {
            // Until half of the others are through.
            while item.0 == 0 && given.load(Ordering::SeqCst) < 100 {
                thread::yield_now();
            }
            given.fetch_add(1, Ordering::SeqCst);
            Ok(item.0)
        };
        in_order(source, Window { workers: 2, most: 150 }, &work, &mut |_| Ok(())).unwrap();
        let most = most_held.into_inner();
        assert!((3..=5).contains(&most), "{most} items in memory");
    }
}
