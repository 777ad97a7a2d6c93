//! Work on a device whose memory nobody knows beforehand: in parts, and in smaller ones when memory runs out.

use std::sync::{Condvar, Mutex, PoisonError};

use candle_core::Device;

use crate::ops::gpu::is_out_of_memory;
use crate::{Error, Result, device};

/// Runs `work` over parts of `items` of at most `most`, in order; a part that runs out of memory is halved and tried again,
/// and later parts stay as small as the last one that fitted.
///
/// # Errors
/// What `work` returns, and running out of memory with a single item.
pub(super) fn in_parts<I, T>(items: &[I], most: usize, mut work: impl FnMut(&[I]) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let (mut done, mut size) = (Vec::with_capacity(items.len()), most.max(1));
    let mut at = 0;
    while at < items.len() {
        let part = &items[at..(at + size).min(items.len())];
        match work(part) {
            Ok(results) => {
                done.extend(results);
                at += part.len();
            }
            Err(error) if part.len() > 1 && is_out_of_memory(&error.to_string()) => {
                size = part.len().div_ceil(2);
                log::warn!("the device ran out of memory with {} pictures at a time; trying {size}", part.len());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// An error of work on a device: where its memory did not suffice, that is what it says, and no bug.
pub(super) fn told(device: &Device, error: Error) -> Error {
    match error {
        Error::Bug { doing, found } if is_out_of_memory(&found) => device::out_of_memory(device, &doing, &found),
        other => other,
    }
}

/// Leave to work on a device, for a few threads at a time.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<usize>,
    back: Condvar,
}

impl Default for Turns {
    fn default() -> Self {
        Turns { free: Mutex::new(Self::AT_A_TIME), back: Condvar::new() }
    }
}

/// Given back when dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// So many threads work on the device at a time.
    pub(super) const AT_A_TIME: usize = 2;

    /// Waits for leave.
    pub(super) fn take(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.back.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_full_card_is_no_bug() {
        let full = Error::bug("running a network", "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")");
        let told_full = told(&Device::Cpu, full);
        assert_eq!(Exit::from(&told_full), Exit::Device);
        let text = told_full.to_string();
        assert!(text.contains("no memory is left") && text.contains("while running a network"), "{text}");
        assert_eq!(Exit::from(&told(&Device::Cpu, Error::bug("running a network", "an illegal access"))), Exit::Bug);
    }

    /// A device on which `room` items fit.
    fn device(room: usize, calls: &mut Vec<usize>) -> impl FnMut(&[u32]) -> Result<Vec<u32>> + '_ {
        move |part| {
            calls.push(part.len());
            if part.len() > room {
                return Err(Error::bug(
                    "running a network",
                    "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
                ));
            }
            Ok(part.iter().map(|v| v * 2).collect())
        }
    }

    #[test]
    fn parts_are_halved_until_they_fit_and_stay_small() {
        let items: Vec<u32> = (0..23).collect();
        let mut calls = Vec::new();
        let found = in_parts(&items, 16, device(5, &mut calls)).unwrap();
        assert_eq!(found, items.iter().map(|v| v * 2).collect::<Vec<_>>());
        assert_eq!(calls, [16, 8, 4, 4, 4, 4, 4, 3]);
        assert!(in_parts(&items, 16, device(0, &mut Vec::new())).is_err(), "one item does not fit");
        assert!(in_parts::<u32, u32>(&[], 0, |_| unreachable!()).unwrap().is_empty());
    }

    #[test]
    fn no_more_have_leave_than_is_said_and_all_have_it_in_the_end() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (turns, there, most, done) =
            (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = turns.take();
                    most.fetch_max(there.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    there.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!((most.into_inner(), done.into_inner()), (Turns::AT_A_TIME, 8));
    }

    #[test]
    fn other_errors_are_not_tried_again() {
        let mut calls = 0;
        let failed = in_parts(&[1, 2, 3], 3, |_| -> Result<Vec<u32>> {
            calls += 1;
            Err(Error::bug("running a network", "an illegal memory access"))
        });
        assert!(failed.is_err());
        assert_eq!(calls, 1);
    }
}
