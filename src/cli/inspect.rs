//! `chehra inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, json};
use crate::lookup::faces::Picture;
use crate::lookup::{draw, inspect, thumbnails};
use crate::output;
use crate::photo;
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra inspect selfie.jpg
  chehra inspect selfie.jpg --png seen.png
  chehra inspect selfie.jpg --worker worker.jpg --png seen.png    # who is the worker is then known, not guessed

The answer is JSON. Faces are numbered from the left; boxes and landmarks are in pixels of the upright picture. A photo
without a face is an answer; one that cannot be read ends with exit code 65.";

/// Flags of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// A photo: JPEG, PNG or WebP
    #[arg(value_name = "PHOTO")]
    photo: PathBuf,
    /// Write the picture with boxes, landmarks, roles, liveness and quality to this file
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// The worker's reference photo
    #[arg(long, value_name = "PHOTO")]
    worker: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs it.
pub fn run(args: &InspectArgs, _: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    // By the place on disk: a link or another spelling must not cost the photo either.
    let place = |path: &PathBuf| path.canonicalize().ok();
    let inputs = [Some(&args.photo), args.worker.as_ref()];
    if let Some(png) = &args.png
        && place(png).is_some()
        && inputs.iter().flatten().any(|input| place(input) == place(png))
    {
        let problem = format!("{} is the photo itself", png.display());
        return Err(Error::usage("--png", problem, "name another file"));
    }
    if let Some(png) = &args.png {
        output::check_file("--png", png, &[], "a picture that chehra drew", thumbnails::is_own)?;
    }
    let engine = args.engine.engine(&policy)?;
    let worker = args.worker.as_ref().map(|path| Picture::look(path, &engine, &policy)).transpose()?;
    let template = match &worker {
        None => None,
        Some(picture) => {
            let (.., reading) = picture.principal().ok_or_else(|| {
                let fix = "give a photo that shows the worker's face from the front";
                Error::input(&picture.path, "the worker's photo", "a face", "no face", fix)
            })?;
            Some(&reading.template)
        }
    };
    let picture = Picture::look(&args.photo, &engine, &policy)?;
    let found = inspect::inspect(&picture, template, engine.models(), &policy);
    if let Some(png) = &args.png {
        let photo =
            photo::decode(&picture.bytes, &policy.photo).map_err(|e| Error::bug("drawing a photo", e.detail))?;
        draw::write(&photo, &found, png)?;
    }
    json(&found)
}
