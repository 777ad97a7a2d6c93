//! Who of a store is in a photo: the nearest members of every face in it.

use std::path::PathBuf;

use serde::Serialize;

use super::curve::{Chance, Curve, CurveReport};
use super::faces::{FaceFacts, Picture};
use super::facts::STORED;
use super::moment::iso;
use super::predicate::Predicate;
use super::text::{day, masked, table};
use crate::config::Policy;
use crate::gallery::{self, Filter, Gallery, Probe, Row, Searcher, Store, Want};
use crate::infer::{Engine, ModelId};
use crate::matching::{Grade, pair_error, pairs_of};
use crate::pairs::KeptCurve;
use crate::{Error, Result};

/// Beyond the similarity that one pair in a hundred of one person reaches, that share no longer counts: what chance makes
/// so alike falls far faster.
const LEAST_FOUND: f64 = 0.01;

/// Whom to look for and where.
#[derive(Debug)]
pub struct Question<'a> {
    /// Most answers per face.
    pub top: usize,
    /// Only members for which this SQL expression holds.
    pub filter: Option<&'a str>,
    /// Whether mobile and voter-ID numbers are shown whole.
    pub unmask: bool,
    /// How the store is searched.
    pub searcher: &'a Searcher,
}

/// A member found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundMember {
    /// The row of the gallery.
    #[serde(skip)]
    pub row: u32,
    /// Cosine, -1..=1.
    pub similarity: f32,
    /// How often chance makes two people as alike.
    #[serde(flatten)]
    pub chance: Chance,
    /// How many pairs at least that similar the whole gallery would hold by chance, as an audit states it: the rate times
    /// the number of its pairs.
    pub expected_false_matches: f64,
    /// How sure it is that the face is the member's, if that person is in the store as likely as not; `None` where a
    /// stranger is the likelier.
    pub grade: Option<Grade>,
    /// Whether that is within the policy's limit for review.
    pub within_limit: bool,
    /// The submission that enrolled the member.
    pub submission_id: String,
    /// Who enrolled the member.
    pub worker_id: String,
    /// Where.
    pub district: String,
    /// When, ISO 8601 in UTC.
    pub captured_at: Option<String>,
    /// Mobile number, masked unless asked for.
    pub mobile: Option<String>,
    /// Voter-ID number, masked unless asked for.
    pub epic: Option<String>,
    /// Name as typed.
    pub member_name: Option<String>,
    /// Picture of the member's face, where one was written.
    pub thumbnail: Option<PathBuf>,
    #[serde(skip)]
    at: i64,
}

/// One face and who is like it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AskedFace {
    /// The face.
    #[serde(flatten)]
    pub face: FaceFacts,
    /// Members, most similar first.
    pub nearest: Vec<FoundMember>,
}

/// One photo, and every face in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AskedPhoto {
    /// The file.
    pub photo: PathBuf,
    /// Why there is no answer.
    pub problem: Option<String>,
    /// Left to right.
    pub faces: Vec<AskedFace>,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchAnswer {
    /// The network of the templates compared.
    pub model: String,
    /// Members of the store with templates of that network.
    pub members: usize,
    /// Of these, members searched.
    pub searched: usize,
    /// Members of the gallery for all pairs of which expected false matches are stated: those of the store's last audit, or
    /// of the store where that is larger.
    pub gallery_size: u64,
    /// The policy's limit in expected false matches.
    pub limit: f64,
    /// Where false-match rates come from.
    pub curve: CurveReport,
    /// Each photo.
    pub photos: Vec<AskedPhoto>,
}

/// A store made ready to be asked.
#[derive(Debug)]
pub struct Searchable {
    model: ModelId,
    members: usize,
    gallery: Gallery,
    curve: Curve,
}

impl Searchable {
    /// The members of a store that a filter lets pass.
    ///
    /// # Errors
    /// [`Error::Usage`] when the store is empty or has no template of this network, or the filter is wrong.
    pub fn new(store: &Store, engine: &Engine, question: &Question<'_>) -> Result<Searchable> {
        let whole = store.view(None)?;
        let model = ModelId(engine.embedder_id().to_owned());
        let predicate = question.filter.map(|text| Predicate::new(text, "a store", STORED)).transpose()?;
        let models: Vec<&str> = whole.models().iter().map(|(model, _)| model.0.as_str()).collect();
        let Some(first) = models.first() else {
            return Err(Error::usage("--store", "the store holds no members", "audit a dump into it first"));
        };
        if !models.contains(&model.0.as_str()) {
            let name = first.split(':').next().unwrap_or(first);
            let problem =
                format!("{} makes no template that can be compared with those of {}", model.0, models.join(", "));
            return Err(Error::usage("--embedder", problem, format!("add --embedder {name}")));
        }
        let all = whole.only(&model, &Filter::default());
        let gallery = match predicate {
            None => all.clone(),
            Some(predicate) => {
                let passed = predicate.passing(all.iter().map(|(_, row)| row))?;
                let mut keep = vec![false; all.rows()];
                all.iter().zip(passed).for_each(|((number, _), passes)| keep[number as usize] = passes);
                all.keeping(&|number| keep[number as usize])
            }
        };
        // The curve is the whole store's: it says how alike different people are, whoever is asked about.
        let kept = KeptCurve::read(store, &model)?;
        Ok(Searchable { curve: Curve::of(&model, &all, kept.as_ref())?, members: all.live(), model, gallery })
    }

    /// The members that are searched.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Asks for every face of the photos that could be read.
    ///
    /// # Errors
    /// [`Error::Input`] when a stored row is damaged.
    pub fn ask(&self, photos: &[PhotoOrProblem], question: &Question<'_>, policy: &Policy) -> Result<SearchAnswer> {
        let matching = &policy.matching;
        let limit = matching.review_expected_false_matches.unwrap_or(matching.certain_expected_false_matches);
        let faces = || photos.iter().flat_map(|photo| photo.1.iter().flat_map(|picture| picture.read_faces()));
        let probes: Vec<Probe> = faces()
            .map(|(_, _, reading)| Probe { template: &reading.template, model: &self.model, filter: Filter::default() })
            .collect();
        let mut found: Vec<Vec<FoundMember>> = vec![Vec::new(); probes.len()];
        if !probes.is_empty() && !self.gallery.is_empty() {
            let want = Want::Top { count: question.top, floor: -1.0 };
            let qualities: Vec<f32> = faces().map(|(_, _, reading)| reading.quality.score).collect();
            for hit in gallery::search(&self.gallery, &probes, want, question.searcher)?.0 {
                let Some(row) = self.gallery.row(hit.row) else { continue };
                let chance = self.curve.at(hit.similarity, [qualities[hit.probe as usize], row.quality]);
                let expected = chance.false_match_rate * pairs_of(self.curve.gallery_size());
                let member = FoundMember { within_limit: expected <= limit, ..member(hit.row, &row, question.unmask) };
                // Of two explanations, a stranger among all of them and the person himself, the share of the first.
                let strangers = chance.false_match_rate * self.gallery.live() as f64;
                let error = strangers / (strangers + self.curve.found(hit.similarity).max(LEAST_FOUND));
                found[hit.probe as usize].push(FoundMember {
                    similarity: hit.similarity,
                    grade: Grade::of_local_error(pair_error(error, f64::from(row.member_doubt_percent) / 100.0)),
                    chance,
                    expected_false_matches: expected,
                    ..member
                });
            }
        }
        let mut found = found.into_iter();
        let mut asked = |picture: &Picture| -> Vec<AskedFace> {
            let face = |(number, face)| AskedFace {
                face: FaceFacts::of(number, face, policy),
                nearest: face.reading.as_ref().and_then(|_| found.next()).unwrap_or_default(),
            };
            picture.faces().map(face).collect()
        };
        let photos = photos
            .iter()
            .map(|(path, picture, problem)| AskedPhoto {
                photo: path.clone(),
                problem: problem.clone(),
                faces: picture.as_ref().map(&mut asked).unwrap_or_default(),
            })
            .collect();
        Ok(SearchAnswer {
            model: self.model.0.clone(),
            members: self.members,
            searched: self.gallery.live(),
            gallery_size: self.curve.gallery_size(),
            limit,
            curve: self.curve.report(),
            photos,
        })
    }
}

/// A photo by its path: seen, or why not.
pub type PhotoOrProblem = (PathBuf, Option<Picture>, Option<String>);

fn member(number: u32, row: &Row<'_>, unmask: bool) -> FoundMember {
    let hidden = |value: Option<&str>| value.map(|value| if unmask { value.to_owned() } else { masked(value) });
    FoundMember {
        row: number,
        similarity: 0.0,
        chance: Chance { false_match_rate: 1.0, false_match_rate_upper: 1.0, extrapolated: false },
        expected_false_matches: 0.0,
        grade: None,
        within_limit: false,
        submission_id: row.submission_id.to_owned(),
        worker_id: row.worker_id.to_owned(),
        district: row.district.to_owned(),
        captured_at: iso(row.captured_at),
        mobile: hidden(row.mobile),
        epic: hidden(row.epic),
        member_name: row.member_name.map(str::to_owned),
        thumbnail: None,
        at: row.captured_at,
    }
}

impl std::fmt::Display for SearchAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for photo in &self.photos {
            if let Some(problem) = &photo.problem {
                writeln!(f, "{}: {problem}\n", photo.photo.display())?;
                continue;
            }
            let count = match photo.faces.len() {
                0 => "no face found".to_owned(),
                1 => "1 face".to_owned(),
                n => format!("{n} faces, each asked about separately"),
            };
            writeln!(f, "{}: {count}", photo.photo.display())?;
            for asked in &photo.faces {
                writeln!(f, "\n{}: {}", asked.face.place(), asked.face.described())?;
                if self.searched > 0 && asked.face.quality.is_some() {
                    write!(f, "{}", self.listed(asked))?;
                }
            }
            writeln!(f)?;
        }
        if self.searched == 0 {
            return write!(f, "None of the {} members was selected, so nobody was compared.", self.members);
        }
        write!(
            f,
            "{} of {} members searched; rates from {}. Near certain: under one in a thousand such answers is somebody else; \
             likely: at most one in twenty; possible: at most one in two. Twins and other close kin are apart from that.",
            self.searched, self.members, self.curve.source
        )
    }
}

impl SearchAnswer {
    fn listed(&self, asked: &AskedFace) -> String {
        let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let row = |member: &FoundMember| {
            vec![
                member.grade.map_or("-", Grade::words).to_owned(),
                member.submission_id.clone(),
                member.district.clone(),
                member.worker_id.clone(),
                day(member.at),
                cell(&member.mobile),
                cell(&member.epic),
                cell(&member.member_name),
            ]
        };
        let rows: Vec<Vec<String>> = asked.nearest.iter().map(row).collect();
        table(&["how sure", "submission", "district", "worker", "day", "mobile", "EPIC", "name"], &rows)
    }
}
