//! `chehra weights`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::Result;
use crate::cli::print;
use crate::nn::WeightStore;

/// What to do with the weights.
#[derive(Debug, Subcommand)]
pub enum WeightsCommand {
    /// List the weights: name, role, licence, source
    List(WeightsArgs),
    /// Read every file and compare its SHA-256 with the manifest
    Verify(WeightsArgs),
}

/// Flags of `weights list` and `weights verify`.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    /// Folder of weights with their manifest.toml [default: $CHEHRA_WEIGHTS, weights/ beside the executable, or those built in]
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// Runs it.
pub fn run(command: &WeightsCommand) -> Result<()> {
    match command {
        WeightsCommand::List(args) => {
            let store = WeightStore::open(args.weights.as_deref())?;
            let mut text = format!("weights: {}\n", store.origin());
            for entry in store.entries() {
                let from = &entry.source;
                let (role, licence) = (format!("{:?}", entry.role).to_lowercase(), &entry.licence);
                let source = format!("{} {} {}", from.registry, from.package, from.version);
                text += &format!("{:<23} {role:<9} {licence:<12} {source}\n", entry.name);
            }
            for ensemble in store.ensembles() {
                let members = ensemble.members.iter().zip(&ensemble.shares);
                let parts: Vec<String> = members.map(|(name, share)| format!("{share} of {name}")).collect();
                text += &format!("{:<23} embedder  of {}\n", ensemble.name, parts.join(", "));
            }
            print(&text)
        }
        WeightsCommand::Verify(args) => {
            let store = WeightStore::open(args.weights.as_deref())?;
            let mut text = format!("weights: {}\n", store.origin());
            for entry in store.entries() {
                store.verify(&entry.name)?;
                text += &format!("{:<20} whole, sha256 {}\n", entry.name, entry.sha256);
            }
            print(&text)
        }
    }
}
