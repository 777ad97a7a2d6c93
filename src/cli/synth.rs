//! `chehra synth`.

use std::path::{Path, PathBuf};

use candle_core::Device;
use clap::Args;

use crate::cli::help::{DRAWN, INPUT, OUTPUT};
use crate::cli::{Common, json, print};
use crate::config::Policy;
use crate::face::Detector;
use crate::nn::{WeightStore, Yunet};
use crate::report::Progress;
use crate::synth::{self, Collections, FaceBox, FindFace, Pattern, Plan, Rates};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra synth --faces lfw/images --out dump --rows 5000 --seed 7
  chehra synth --faces people.csv --plan plan.toml --out dump
  chehra synth --live labels.csv --attacks labels.csv --repeat-people --out attacks
  chehra synth --print-plan > plan.toml

FACES is a folder NAME/*.jpg or a CSV person,path[,x,y,w,h]. Pictures that are framed as LFW's are
taken to have their face in the middle; of others the detector finds it, unless the CSV says where it
is. LIVE and ATTACKS are the same; there the detector finds all
faces, a CSV may say subject for person and have label (live or spoof: each option takes its own
rows) and species. Faces of attacks are pasted beside live workers by the same means as live members.
Each OUT/night-N is a dump for
`chehra audit`, with its true answers in truth.parquet for `chehra evaluate audit --truth`;
OUT/booths.parquet is for `audit --booths`. The same plan and pictures give the same bytes.";

/// Flags of `synth`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SynthArgs {
    /// Folder of face pictures, or a CSV of them
    #[arg(help_heading = INPUT, long, value_name = "FACES", required_unless_present_any = ["print_plan", "live", "attacks"])]
    faces: Option<PathBuf>,
    /// The same, its faces found by the detector
    #[arg(help_heading = INPUT, long, value_name = "LIVE", conflicts_with = "faces")]
    live: Option<PathBuf>,
    /// Real attacks, to stand beside live workers: 5 % of the rows unless the plan says otherwise
    #[arg(help_heading = INPUT, long, value_name = "ATTACKS")]
    attacks: Option<PathBuf>,
    /// New folder to write
    #[arg(help_heading = OUTPUT, short, long, value_name = "DIR", required_unless_present = "print_plan")]
    out: Option<PathBuf>,
    /// Plan file (TOML); what it does not name keeps its default
    #[arg(help_heading = INPUT, long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Submissions over all nights; outweighs the plan
    #[arg(help_heading = DRAWN, long, value_name = "N")]
    rows: Option<usize>,
    /// Nights; outweighs the plan
    #[arg(help_heading = DRAWN, long, value_name = "N")]
    nights: Option<usize>,
    /// Seed; outweighs the plan
    #[arg(help_heading = DRAWN, long, value_name = "N")]
    seed: Option<u64>,
    /// Share of rows with fraud, 0 to 1; scales the plan's rates
    #[arg(help_heading = DRAWN, long, value_name = "SHARE")]
    fraud: Option<f64>,
    /// Write place, device, arrival and EXIF as well
    #[arg(help_heading = DRAWN, long)]
    field_evidence: bool,
    /// Share of workers who enrol from home, 0 to 1; with --field-evidence
    #[arg(help_heading = DRAWN, long, value_name = "SHARE")]
    home_share: Option<f64>,
    /// Make members beyond the number of people duplicates instead of refusing
    #[arg(help_heading = DRAWN, long)]
    repeat_people: bool,
    /// Print the plan with all its defaults and stop
    #[arg(help_heading = OUTPUT, long)]
    print_plan: bool,
}

/// Runs it.
pub fn run(args: &SynthArgs, common: &Common) -> Result<()> {
    if args.attacks.is_some() && args.live.is_none() {
        let problem = "the live faces beside them must be found in the same way";
        return Err(Error::usage("--attacks", problem, "name live faces with --live instead of --faces"));
    }
    let plan = plan(args)?;
    let (false, Some(live), Some(out)) = (args.print_plan, args.live.as_ref().or(args.faces.as_ref()), &args.out)
    else {
        if common.json {
            return json(&plan);
        }
        return print(&toml::to_string_pretty(&plan).map_err(|e| Error::bug("printing the plan", e))?);
    };
    let finder = FaceFinder::load()?;
    let find = |path: &Path| finder.find(path);
    let find_face: Option<&FindFace> = Some(&find);
    let may_be_framed = args.live.is_none();
    let collections = Collections { live, attacks: args.attacks.as_deref(), find_face, may_be_framed };
    let stage = Progress::new(common.quiet).stage("draw", "selfies", plan.rows as u64, 0);
    let last = std::cell::Cell::new(0);
    let summary = synth::write(&plan, &collections, out, &|done, _| {
        stage.advance((done - last.replace(done)) as u64);
        Ok(())
    })?;
    drop(stage);
    if common.json {
        return json(&summary);
    }
    let mut text = format!(
        "{} submissions over {} nights, {} workers, {} people, {} duplicates\n",
        summary.rows, summary.nights, summary.workers, summary.people, summary.duplicates
    );
    for (pattern, count) in &summary.patterns {
        text += &format!("  {pattern:<28} {count:>8}\n");
    }
    print(&format!("{text}{}", out.display()))
}

fn plan(args: &SynthArgs) -> Result<Plan> {
    let mut plan = match &args.plan {
        None => Plan::default(),
        Some(path) => {
            let refuse = |found: String| {
                let expected = "a TOML file as `chehra synth --print-plan` prints it";
                Error::input(path, "plan", expected, found, "correct the line named above")
            };
            let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
            toml::from_str(&text).map_err(|e| refuse(e.to_string()))?
        }
    };
    plan.rows = args.rows.unwrap_or(plan.rows);
    plan.nights = args.nights.unwrap_or(plan.nights);
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.fraud = args.fraud.or(plan.fraud);
    plan.field.evidence |= args.field_evidence;
    plan.field.home = args.home_share.unwrap_or(plan.field.home);
    plan.repeat_people |= args.repeat_people;
    if args.attacks.is_some() && plan.rates.get(Pattern::AttackMember) == 0.0 {
        plan.rates.set(Pattern::AttackMember, Rates::OF_ATTACKS);
    }
    Ok(plan)
}

/// The program's own detector, on the CPU.
struct FaceFinder {
    detector: Detector<Yunet>,
    policy: Policy,
}

impl FaceFinder {
    fn load() -> Result<Self> {
        let policy = Policy::default();
        let network = Yunet::load(&WeightStore::open(None)?.with_device(Device::Cpu))?;
        Ok(FaceFinder { detector: Detector::new(network, policy.detection.clone()), policy })
    }

    /// The tallest face of a picture.
    fn find(&self, path: &Path) -> Result<Option<FaceBox>> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let photo = crate::photo::decode(&bytes, &self.policy.photo).map_err(|reject| {
            let expected = "a picture that can be read";
            Error::input(path, "face picture", expected, reject.detail, "repair or remove the file")
        })?;
        let faces = self.detector.detect(&photo)?;
        Ok(faces.iter().map(|face| face.bbox).max_by(|a, b| a[3].total_cmp(&b[3])))
    }
}
