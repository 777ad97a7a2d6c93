//! `chehra weights`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::Result;
use crate::cli::{Common, json, print};
use crate::nn::WeightStore;

/// What to do with the weights.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  chehra weights list\n  chehra weights verify")]
pub enum WeightsCommand {
    /// List the weights: name, role, licence, source
    #[command(after_help = "Examples:\n  chehra weights list\n  chehra weights list --json")]
    List(WeightsArgs),
    /// Read every file and compare its SHA-256 with the manifest
    #[command(after_help = "Examples:\n  chehra weights verify\n  chehra weights verify --weights /data/weights")]
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
pub fn run(command: &WeightsCommand, common: &Common) -> Result<()> {
    match command {
        WeightsCommand::List(args) => list(&WeightStore::open(args.weights.as_deref())?, common),
        WeightsCommand::Verify(args) => verify(&WeightStore::open(args.weights.as_deref())?, common),
    }
}

fn list(store: &WeightStore, common: &Common) -> Result<()> {
    if common.json {
        let (weights, ensembles) = (store.entries(), store.ensembles());
        return json(&serde_json::json!({ "origin": store.origin(), "weights": weights, "ensembles": ensembles }));
    }
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

fn verify(store: &WeightStore, common: &Common) -> Result<()> {
    let mut text = format!("weights: {}\n", store.origin());
    let mut whole = Vec::new();
    for entry in store.entries() {
        store.verify(&entry.name)?;
        text += &format!("{:<20} whole, sha256 {}\n", entry.name, entry.sha256);
        whole.push(serde_json::json!({ "name": entry.name, "sha256": entry.sha256 }));
    }
    match common.json {
        true => json(&serde_json::json!({ "origin": store.origin(), "whole": whole })),
        false => print(&text),
    }
}
