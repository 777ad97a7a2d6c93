//! `chehra weights`.

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{Common, json, print};
use crate::nn::weights::{Added, Addition, Colour};
use crate::nn::{WeightStore, load_embedder};
use crate::output::{self, Kept};
use crate::{Error, Result};

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
    /// Add an embedder of your own: an IResNet (ArcFace, AdaFace) from ONNX, PyTorch or safetensors
    Add(AddArgs),
}

const EXAMPLES: &str = "\
Examples:
  chehra weights add w600k_r50.onnx --name r50 --into my-weights --licence 'non-commercial research'
  chehra weights add adaface_ir101.ckpt --name adaface --into my-weights
  chehra audit DUMP --out RUN --weights my-weights --embedder r50

The file is converted once; --into becomes a whole folder of weights, with the networks that were there before. Colours and
normalisation are those usual for the file's layout unless you say otherwise: ArcFace red first, AdaFace blue first, both
(pixel - 127.5) / 127.5. Measure before you trust it: `chehra evaluate verification`.";

/// Flags of `weights add`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AddArgs {
    /// The network: .onnx, .pt, .pth, .ckpt or .safetensors
    file: PathBuf,
    /// How it shall be called, for --embedder
    #[arg(long)]
    name: String,
    /// Folder of weights to put it into; made and filled if it is none yet
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Order of colours it was trained on
    #[arg(long, value_enum)]
    colour: Option<ColourArg>,
    /// Subtracted from pixels of 0 to 255
    #[arg(long, allow_negative_numbers = true)]
    mean: Option<f32>,
    /// Multiplied after that
    #[arg(long)]
    factor: Option<f32>,
    /// Licence of the weights, kept in the manifest
    #[arg(long, default_value = "unknown")]
    licence: String,
    /// Anything else worth knowing, kept in the manifest
    #[arg(long, default_value = "")]
    notes: String,
    /// Folder from which a new --into is filled [default: $CHEHRA_WEIGHTS, weights/ beside the executable, or those built in]
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColourArg {
    /// Red first
    Rgb,
    /// Blue first
    Bgr,
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
        WeightsCommand::Add(args) => add(args, common),
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

/// Adds a network and runs it once, so that what is added can be used.
fn add(args: &AddArgs, common: &Common) -> Result<()> {
    output::check("--into", &args.into, &[Kept::itself("the network", &args.file)])?;
    let addition = Addition {
        file: args.file.clone(),
        name: args.name.clone(),
        colour: args.colour.map(|colour| match colour {
            ColourArg::Rgb => Colour::Rgb,
            ColourArg::Bgr => Colour::Bgr,
        }),
        mean: args.mean,
        factor: args.factor,
        licence: args.licence.clone(),
        notes: args.notes.clone(),
    };
    let Added { passport, layout, depth } = WeightStore::open(args.weights.as_deref())?.add(&addition, &args.into)?;
    let embedder = load_embedder(&WeightStore::open(Some(&args.into))?, &passport.name)?;
    let grey = Tensor::full(127f32, (1, 112, 112, 3), &Device::Cpu)?;
    let values = embedder.embed(&grey)?.flatten_all()?.to_vec1::<f32>()?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        let fix = "the network was trained on other pixels: say --mean and --factor, under another name";
        return Err(Error::input(&args.file, "template of a grey picture", "finite values", value.to_string(), fix));
    }
    if common.json {
        return json(&serde_json::json!({ "added": passport, "layout": layout, "layers": depth }));
    }
    let (input, name, into) = (&passport.input, &passport.name, args.into.display());
    let colour = format!("{:?}", input.colour).to_uppercase();
    print(&format!(
        "{name}: {layout}, IResNet-{depth}, {} values, {colour}, (pixel - {}) * {}\nuse it with --weights {into} --embedder {name}",
        embedder.dim(),
        input.mean,
        input.factor,
    ))
}
