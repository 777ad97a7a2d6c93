//! The data goes one way: a room (a folder of `src`, or a file beside them) uses only rooms that stand before it in the
//! flow, plus the leaves, and inside of a room no files use each other in a circle. Which file uses which is read from the
//! syntax: [`imports`] states the rule.

mod imports;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use imports::Imports;

const LEAVES: &[&str] = &[
    "error",
    "objects",
    "lock",
    "journal",
    "statistics",
    "terminal",
    "exit",
    "reason",
    "output",
    "sheets",
    "config",
    "memory",
    "device",
    "ops",
    "nn",
];
const FLOW: &[&str] = &[
    "dump",
    "photo",
    "face",
    "infer",
    "seen",
    "roles",
    "replies",
    "gallery",
    "decisions",
    "matching",
    "pairs",
    "verdict",
    "presence",
    "assurance",
    "report",
    "synth",
    "audit",
    "lookup",
    "followup",
    "evaluate",
    "bench",
    "review",
    "cli",
];

/// What measures the product and is no part of it: only the command line may know of it, and they of each other what is
/// listed beside them.
const LABORATORY: &[(&str, &[&str])] = &[("synth", &["evaluate", "bench"]), ("evaluate", &["bench"]), ("bench", &[])];

fn src() -> &'static Imports {
    static SRC: OnceLock<Imports> = OnceLock::new();
    let imports = SRC.get_or_init(|| Imports::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")));
    assert!(imports.files.len() > 250, "only {} files of src were found", imports.files.len());
    imports
}

/// The position of a room: leaves by their own order, then the flow.
fn rank(room: &str) -> usize {
    let place = LEAVES.iter().chain(FLOW).position(|&known| known == room);
    place.unwrap_or_else(|| panic!("src/{room} is not in the flow: add it to this test"))
}

/// The room of a file; `None` for `lib.rs`, which names them all.
fn room(file: &str) -> Option<&str> {
    let first = file.split('/').next().unwrap().trim_end_matches(".rs");
    (first != "lib").then_some(first)
}

/// The uses that cross from room to room: both rooms, and the use in words.
fn crossings(imports: &Imports) -> impl Iterator<Item = (&str, &str, String)> {
    imports.edges.iter().filter_map(|(&(from, to), path)| {
        let (from, to) = (&imports.files[from], &imports.files[to]);
        let (user, used) = (room(from)?, room(to)?);
        (user != used).then(|| (user, used, format!("src/{from} uses src/{to} ({path})")))
    })
}

#[test]
fn no_import_runs_back_up() {
    let imports = src();
    let wrong: Vec<String> =
        crossings(imports).filter(|(user, used, _)| rank(used) > rank(user)).map(|(_, _, words)| words).collect();
    assert!(wrong.is_empty(), "imports that run back up:\n{}", wrong.join("\n"));
    let rooms: BTreeSet<&str> = imports.files.iter().filter_map(|file| room(file)).collect();
    assert_eq!(rooms.len(), LEAVES.len() + FLOW.len(), "every room of the flow exists: {rooms:?}");
}

#[test]
fn every_path_into_the_crate_is_understood() {
    let imports = src();
    let words = imports.unknown.iter().map(|(file, path)| format!("src/{}: {path}", imports.files[*file]));
    let words: Vec<String> = words.collect();
    assert!(
        words.is_empty(),
        "what these name was not found, so a circle could hide behind them:\n{}",
        words.join("\n")
    );
}

#[test]
fn files_use_each_other_in_no_circle() {
    let imports = src();
    let mut wrong = Vec::new();
    for circle in imports.circles() {
        let names: Vec<&str> = circle.iter().map(|&file| imports.files[file].as_str()).collect();
        wrong.push(format!("a circle of {}:", names.join(", ")));
        let inside = imports.edges.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        wrong.extend(inside.map(|(&(from, to), path)| {
            format!("  src/{} uses src/{} ({path})", imports.files[from], imports.files[to])
        }));
    }
    assert!(
        wrong.is_empty(),
        "move what both sides need to a file of its own below them, or hand it down as an argument:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_product_does_not_know_its_laboratory() {
    let imports = src();
    let mut wrong = Vec::new();
    for (user, used, words) in crossings(imports) {
        if let Some((_, others)) = LABORATORY.iter().find(|(room, _)| *room == used)
            && user != "cli"
            && !others.contains(&user)
        {
            wrong.push(words);
        }
    }
    assert!(wrong.is_empty(), "only the command line may use these:\n{}", wrong.join("\n"));
}

/// The rule on a small crate: what counts as a use, and what does not.
#[test]
fn uses_are_told_from_re_exports() {
    let place = crate::util::Place::new();
    let write = |name: &str, text: &str| {
        let path = place.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "pub mod a; pub mod b; pub mod c { pub mod d; pub use d::Deep; }");
    // A list of children and their names uses nothing.
    write("a/mod.rs", "mod x; pub use x::X;");
    // Through the re-export, and through an import under another name, the definition is found.
    write("a/x.rs", "use crate::b as other; pub struct X; fn f() { println!(\"{}\", other::two()); }");
    write("b.rs", "use crate::a::X; pub fn two() -> X { X }  #[cfg(test)] mod tests { use crate::c::Deep; }");
    write("c/d.rs", "pub struct Deep; impl Deep { fn f() { super::super::b::two(); } }");
    let imports = Imports::read(place.dir.path());
    let named = |&(from, to): &(usize, usize)| format!("{} {}", imports.files[from], imports.files[to]);
    let mut edges: Vec<String> = imports.edges.keys().map(named).collect();
    edges.sort();
    assert_eq!(edges, ["a/x.rs b.rs", "b.rs a/x.rs", "c/d.rs b.rs"]);
    assert!(imports.unknown.is_empty(), "{:?}", imports.unknown);
    let circles = imports.circles();
    assert_eq!(circles.len(), 1);
    assert_eq!(circles[0].iter().map(|&file| &imports.files[file]).collect::<Vec<_>>(), ["a/x.rs", "b.rs"]);
}
