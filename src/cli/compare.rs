//! `chehra compare`.

use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, print_as};
use crate::gallery::{Filter, Gallery, Store};
use crate::infer::ModelId;
use crate::lookup::compare;
use crate::lookup::curve::Curve;
use crate::lookup::faces::Picture;
use crate::pairs::KeptCurve;

const EXAMPLES: &str = "\
Examples:
  chehra compare selfie.jpg photo.jpg
  chehra compare selfie.jpg photo.jpg --all-faces
  chehra compare a.png b.png --store /data/store --json     # rates fitted on the members of this store

Of several faces in a photo the tallest is compared, and the answer says which; --all-faces compares each with each.
The false-match rate is the share of pairs of different people that are at least as alike. Without --store it comes
from the curve that ships for the network, measured on LFW. Kin, and twins above all, are more alike than it says.";

/// Flags of `compare`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// A photo: JPEG, PNG or WebP
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Another one
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Compare every face of A with every face of B
    #[arg(long)]
    all_faces: bool,
    /// Fit the false-match rates on the members of this store, where there are enough of them
    #[arg(short, long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs it.
pub fn run(args: &CompareArgs, common: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let store = args.store.as_ref().map(Store::open).transpose()?;
    let members = store.as_ref().map_or_else(|| Ok(Gallery::empty()), |store| store.view(None))?;
    let engine = args.engine.engine(&policy)?;
    let model = ModelId(engine.embedder_id().to_owned());
    let [a, b] = [Picture::look(&args.a, &engine, &policy)?, Picture::look(&args.b, &engine, &policy)?];
    let kept = store.as_ref().map(|store| KeptCurve::read(store, &model)).transpose()?.flatten();
    let curve = Curve::of(&model, &members.only(&model, &Filter::default()), kept.as_ref())?;
    let answer = compare::compare([&a, &b], args.all_faces, (&model.0, &curve), &policy)?;
    print_as(&answer, common.json)
}
