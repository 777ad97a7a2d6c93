//! Addresses of object stores on the command line: where one may stand, and why not elsewhere.

use std::path::Path;

use clap::{Arg, ArgMatches, Command};

use crate::objects;
use crate::{Error, Result};

/// Options and arguments that may be addresses, by command and id.
const TAKEN: [(&str, &[&str]); 4] = [
    ("audit", &["inputs", "seen", "workers", "booths", "out"]),
    ("dedup", &["inputs"]),
    ("report", &["run", "diff", "earlier", "dump", "out"]),
    ("see", &["inputs", "out"]),
];

/// Refuses addresses where none can be taken, with secrets in them, or that this program cannot reach.
///
/// # Errors
/// [`Error::Usage`] that names the option.
pub fn check(root: &Command, matches: &ArgMatches) -> Result<()> {
    let (mut command, mut matches) = (root, matches);
    while let Some((name, below)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, below);
    }
    let taken = TAKEN.iter().find(|(name, _)| *name == command.get_name()).map_or(&[][..], |(_, ids)| ids);
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let values = matches.try_get_raw(id).ok().flatten().into_iter().flatten();
        for address in values.map(Path::new).filter(|value| objects::is_address(value)) {
            let flag = name(arg);
            objects::check(&flag, address)?;
            let shown = address.display();
            if id == "store" {
                let problem =
                    format!("{shown}: the store of members lies on a disk of this machine, not in an object store");
                let fix = "name a folder: its commit is one atomic rename, its search maps files into memory, and what is \
                           erased must be gone at once";
                return Err(Error::usage(flag, problem, fix));
            }
            if !taken.contains(&id) {
                let fix = format!(
                    "copy it to this machine and name the copy; addresses may stand in the dump, --seen, --workers, --booths \
                     and --out of audit, in those of see, in report's and in dedup's ({} takes {})",
                    command.get_name(),
                    if taken.is_empty() { "none".to_owned() } else { taken.join(", ") }
                );
                return Err(Error::usage(flag, format!("{shown}: an address, where a path must stand"), fix));
            }
            if !objects::BUILT {
                let problem =
                    format!("{shown}: this program was built without `cloud`: it reads and writes no addresses");
                let fix = "build it with `cargo build --release --features cloud`, or copy the files to this machine and name \
                           the copies";
                return Err(Error::usage(flag, problem, fix));
            }
        }
    }
    Ok(())
}

/// An option or argument as it is typed.
fn name(arg: &Arg) -> String {
    match (arg.get_long(), arg.get_value_names()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some([name, ..])) => name.to_string(),
        _ => arg.get_id().to_string(),
    }
}
