//! The file of decisions: [`crate::journal`] keeps it.

use std::ops::RangeInclusive;

use super::{Entry, Ledger, VERSION};
use crate::journal::{self, Journal};

/// An open log of decisions.
pub type Log = Journal<Ledger>;

impl journal::Ledger for Ledger {
    type Entry = Entry;
    const FLAG: &'static str = "--decisions";
    const LINE: &'static str = "a decision";
    const VERSIONS: RangeInclusive<u32> = 1..=VERSION;

    fn version(entry: &Entry) -> u32 {
        entry.v
    }

    fn id(entry: &Entry) -> &str {
        &entry.id
    }

    fn add(&mut self, entry: Entry) {
        Ledger::add(self, entry);
    }

    fn knows(&self, id: &str) -> bool {
        Ledger::knows(self, id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::decided;
    use std::path::Path;

    use super::super::{Answer, Decisions, Entry};
    use super::*;
    use crate::journal::line;

    fn entry(id: usize) -> Entry {
        decided(&id.to_string(), "asha", (&format!("a{id}"), "b"), Answer::Same)
    }

    #[test]
    fn a_torn_line_is_kept_aside_and_the_log_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let whole = line(&entry(1)).unwrap();
        let second = line(&entry(2)).unwrap();
        // Cut at every byte of the second line: what was whole stays, what was begun is kept.
        for cut in 1..second.len() {
            std::fs::write(&path, format!("{whole}{}", &second[..cut])).unwrap();
            let read = Decisions::read(std::slice::from_ref(&path)).unwrap();
            assert_eq!((read.ledger.entries().len(), read.torn), (1, 1), "{cut}: reading alone changes nothing");
            let mut log = Log::open(&path).unwrap();
            assert_eq!(log.ledger().entries().len(), 1, "{cut}");
            let kept = log.torn()[0].kept.clone().unwrap();
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), second[..cut], "{cut}");
            log.append(entry(3)).unwrap();
            assert_eq!(Log::open(&path).unwrap().ledger().entries().len(), 2, "{cut}");
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let damaged = line(&entry(2)).unwrap().replace("same", "some");
        std::fs::write(&path, format!("{}{damaged}{}", line(&entry(1)).unwrap(), line(&entry(3)).unwrap())).unwrap();
        let error = Log::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("checksum"), "{error}");
        assert!(Decisions::read(&[path]).is_err());
    }

    #[test]
    fn two_writers_lose_nothing_and_see_each_other() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let write = |from: usize| {
            let mut log = Log::open(&path).unwrap();
            for id in from..from + 40 {
                log.append(entry(id)).unwrap();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write(0));
            scope.spawn(|| write(1000));
        });
        let mut one = Log::open(&path).unwrap();
        assert_eq!(one.ledger().entries().len(), 80);
        let mut two = Log::open(&path).unwrap();
        two.append(entry(5000)).unwrap();
        two.append(entry(5000)).unwrap();
        one.refresh().unwrap();
        assert!(one.ledger().knows("5000"));
        assert_eq!(one.ledger().entries().len(), 81, "the same entry twice counts once");
    }

    #[test]
    fn a_log_that_was_cut_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let mut log = Log::open(&path).unwrap();
        log.append(entry(1)).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(log.refresh().is_err());
        assert!(log.append(entry(2)).is_err());
        assert!(log.append(entry(3)).unwrap_err().to_string().contains("start the desk again"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_keeps_nothing_is_no_log() {
        assert!(Log::open(Path::new("/proc/no-such-decisions")).is_err(), "a file that cannot be made");
        for device in ["/dev/full", "/dev/null", "/dev/zero"] {
            let error = Log::open(Path::new(device)).unwrap_err().to_string();
            assert!(error.contains(device) && error.contains("device"), "{error}");
        }
    }
}
