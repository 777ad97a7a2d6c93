//! How much memory this process may have, and room in it for pictures.
//!
//! The policy's `photo.max_memory` is for one picture. Several are decoded at a time, and a dozen large ones that meet would
//! take what is not there, which ends the process at the same place each time that it is started. So whoever decodes takes
//! [`room`] for it first and waits until there is some, in the order of asking; half of the memory that this process may have
//! is given to pictures. What may never fit is refused by the policy's limit, which [`fit`] brings down to that half.

use std::cell::Cell;
use std::fs;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};

use crate::config::policy::PhotoLimits;

/// The least of the limits on this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// Bytes.
    pub bytes: u64,
    /// Whose limit it is.
    pub from: &'static str,
}

/// What this process may have, read once: the least of the machine's memory, of the limits of its control groups (versions 1
/// and 2) and of its own (`ulimit -v`, `ulimit -d`); `None` where no system says.
pub fn limit() -> Option<Limit> {
    static LIMIT: LazyLock<Option<Limit>> = LazyLock::new(|| read_limit(Path::new("/")));
    *LIMIT
}

/// Bytes for pictures that are being decoded or looked at, all together.
pub fn for_pictures() -> u64 {
    limit().map_or(u64::MAX, |limit| limit.bytes / 2)
}

/// Brings the limit on one picture down to what there will ever be room for, and says whose limit that is.
pub fn fit(limits: &mut PhotoLimits) -> Option<Limit> {
    let most = for_pictures();
    if limits.max_memory <= most {
        return None;
    }
    limits.max_memory = most;
    limit()
}

fn read_limit(root: &Path) -> Option<Limit> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let groups = control_groups(&read("proc/self/cgroup"), &root.join("sys/fs/cgroup"));
    let limits = read("proc/self/limits");
    let machine = field(&read("proc/meminfo"), "MemTotal:").and_then(|kib| kib.checked_mul(1024));
    [
        (machine, "the machine's memory"),
        (groups, "the control group's limit"),
        (field(&limits, "Max address space"), "ulimit -v"),
        (field(&limits, "Max data size"), "ulimit -d"),
    ]
    .into_iter()
    .filter_map(|(bytes, from)| bytes.map(|bytes| Limit { bytes, from }))
    .min_by_key(|limit| limit.bytes)
}

/// The number after a name at the beginning of a line; `None` where another word stands there.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The least limit of the process's control groups and of those above them (cgroups(7)).
fn control_groups(own: &str, mounted: &Path) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // Version 2 has one tree and no names; of version 1 only the controller of memory matters.
        let (tree, files): (_, &[&str]) = match controllers {
            "" => (mounted.to_path_buf(), &["memory.max", "memory.high"]),
            named if named.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => continue,
        };
        // In a container the path may be that of the host; the tree then begins at the container's own group.
        let group = tree.join(path.trim_start_matches('/'));
        for folder in group.ancestors().take_while(|folder| folder.starts_with(&tree)) {
            for file in files {
                // "max" and version 1's number near 2^63 are no limit.
                let bytes = fs::read_to_string(folder.join(file)).ok().and_then(|text| text.trim().parse().ok());
                least = least.into_iter().chain(bytes.filter(|bytes| *bytes < 1 << 60)).min();
            }
        }
    }
    least
}

/// Room for pictures, shared by all threads.
#[derive(Debug)]
pub struct Room {
    total: u64,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue {
    free: u64,
    /// Number of the next who asks.
    next: u64,
    /// Number of who is first in line.
    first: u64,
}

thread_local! {
    /// How often this thread has taken room and not given it back. What it does within that is counted in it already: were
    /// it to wait once more, it could wait for itself.
    static TAKEN: Cell<u32> = const { Cell::new(0) };
    /// First and last row that this thread looks at.
    static ROWS: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

/// Room that was taken, given back when this goes, on the thread that took it.
#[derive(Debug)]
pub struct Taken<'a> {
    room: &'a Room,
    bytes: u64,
    _same_thread: PhantomData<*const ()>,
}

/// The room of this process.
pub fn room() -> &'static Room {
    static ROOM: LazyLock<Room> = LazyLock::new(|| Room::new(for_pictures()));
    &ROOM
}

impl Room {
    /// Room of so many bytes.
    pub fn new(total: u64) -> Room {
        Room { total, queue: Mutex::new(Queue { free: total, next: 0, first: 0 }), changed: Condvar::new() }
    }

    /// All there is.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes room, waiting for it in the order of asking, so that a large picture is not passed over for ever. Who asks for
    /// more than there is gets all of it, alone.
    pub fn take(&self, bytes: u64) -> Taken<'_> {
        let bytes = if TAKEN.get() > 0 { 0 } else { bytes.min(self.total) };
        TAKEN.set(TAKEN.get() + 1);
        if bytes > 0 {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let own = queue.next;
            queue.next += 1;
            while queue.first != own || queue.free < bytes {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.free -= bytes;
            queue.first += 1;
            // The next in line may fit beside this one.
            self.changed.notify_all();
        }
        Taken { room: self, bytes, _same_thread: PhantomData }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        TAKEN.set(TAKEN.get().saturating_sub(1));
        if self.bytes > 0 {
            self.room.queue.lock().unwrap_or_else(PoisonError::into_inner).free += self.bytes;
            self.room.changed.notify_all();
        }
    }
}

/// Says which rows this thread looks at, until this goes: for the message when there is no memory.
#[derive(Debug)]
pub struct LookingAt(());

impl LookingAt {
    /// From the first row to the last.
    pub fn rows(first: u64, last: u64) -> LookingAt {
        ROWS.set(Some((first, last)));
        LookingAt(())
    }
}

impl Drop for LookingAt {
    fn drop(&mut self) {
        ROWS.set(None);
    }
}

/// Writes what a person needs when `bytes` were asked for in vain, without asking for more memory.
///
/// # Errors
/// The writer's.
pub fn tell_of_shortage(out: &mut impl std::io::Write, bytes: usize) -> std::io::Result<()> {
    write!(out, "chehra: no memory for {bytes} more bytes")?;
    match ROWS.try_with(Cell::get).ok().flatten() {
        Some((first, last)) if first == last => write!(out, ", at row {first} of the dump (counted from 0)")?,
        Some((first, last)) => write!(out, ", at rows {first} to {last} of the dump (counted from 0)")?,
        None => {}
    }
    writeln!(
        out,
        "\n  give this process more memory (the unit's MemoryMax=, `ulimit -v`), or let it need less: fewer --threads, or a \
         smaller photo.max_memory in the policy, which makes the largest pictures image_too_large"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_least_limit_of_either_version_of_control_groups_holds() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        assert_eq!(read_limit(root), None, "no system says anything");
        write(root, "proc/meminfo", "MemFree:  100 kB\nMemTotal:       16384 kB\n");
        assert_eq!(read_limit(root).unwrap(), Limit { bytes: 16 << 20, from: "the machine's memory" });
        write(root, "proc/self/cgroup", "0::/system.slice/chehra.service\n");
        write(root, "sys/fs/cgroup/memory.max", "9000000\n");
        write(root, "sys/fs/cgroup/system.slice/memory.max", "max\n");
        write(root, "sys/fs/cgroup/system.slice/chehra.service/memory.max", "max\n");
        assert_eq!(read_limit(root).unwrap(), Limit { bytes: 9_000_000, from: "the control group's limit" });
        write(root, "sys/fs/cgroup/system.slice/chehra.service/memory.high", "8000000\n");
        assert_eq!(read_limit(root).unwrap().bytes, 8_000_000);
        write(root, "proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/y\n");
        write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(read_limit(root).unwrap().from, "the machine's memory");
        write(root, "sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "7000000\n");
        assert_eq!(read_limit(root).unwrap().bytes, 7_000_000);
        write(
            root,
            "proc/self/limits",
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max data size             unlimited            unlimited            bytes     \n\
             Max address space         6000000              unlimited            bytes     \n",
        );
        assert_eq!(read_limit(root).unwrap(), Limit { bytes: 6_000_000, from: "ulimit -v" });
    }

    #[test]
    fn pictures_wait_for_room_and_all_come_through() {
        let room = Room::new(100);
        let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..8u64 {
                let (room, inside, most) = (&room, &inside, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        // 250 is more than there is: it goes alone.
                        let bytes = [10, 40, 90, 250][((thread + round) % 4) as usize];
                        let taken = room.take(bytes);
                        let now = inside.fetch_add(taken.bytes, Ordering::SeqCst) + taken.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        // What is decoded within it waits for nothing.
                        drop(room.take(90));
                        thread::yield_now();
                        inside.fetch_sub(taken.bytes, Ordering::SeqCst);
                        drop(taken);
                    }
                });
            }
        });
        assert_eq!(inside.into_inner(), 0);
        assert!((90..=100).contains(&most.into_inner()));
        assert_eq!(room.queue.lock().unwrap().free, 100);
    }

    #[test]
    fn who_asks_for_much_is_not_passed_over() {
        let room = Room::new(100);
        let first = room.take(60);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                let _large = room.take(100);
                order.lock().unwrap().push("large");
            });
            while room.queue.lock().unwrap().next < 2 {
                thread::sleep(Duration::from_millis(1));
            }
            scope.spawn(|| {
                let _small = room.take(10);
                order.lock().unwrap().push("small");
            });
            while room.queue.lock().unwrap().next < 3 {
                thread::sleep(Duration::from_millis(1));
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), ["large", "small"]);
    }

    #[test]
    fn a_shortage_names_the_rows_and_both_remedies() {
        let told = |bytes| {
            let mut out = Vec::new();
            tell_of_shortage(&mut out, bytes).unwrap();
            String::from_utf8(out).unwrap()
        };
        let looking = LookingAt::rows(16, 17);
        let text = told(4096);
        for word in ["4096 more bytes", "rows 16 to 17", "MemoryMax", "--threads", "photo.max_memory"] {
            assert!(text.contains(word), "{text}");
        }
        drop(looking);
        assert!(!told(1).contains("row"));
    }
}
