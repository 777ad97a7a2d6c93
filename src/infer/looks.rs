//! What the liveness network is shown of a face: up to three looks, and the mean of what it says.
//!
//! The network was trained on a face with its surroundings, where the edges of prints and phones show (the wide look). A
//! square of the face alone, about three times as large in the network's eyes, shows what screens and prints do to skin (the
//! close look). Each misses what the other sees, so every face in the foreground is looked at in both ways; where they
//! leave a doubt, once more from between. Nothing here was fitted: log-odds are averaged with equal weights
//! (`benches/results/liveness.md` has the rules that were tried).

use super::analysis::Looks;
use crate::Result;
use crate::face::crop::square;
use crate::face::{Detection, Similarity, grain};
use crate::photo::Photo;

/// Mean log-odds of two looks below which there is a third: a probability of 0.95.
const DOUBT: f32 = 3.0;

/// One way to look at a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// As the network was trained.
    Wide,
    /// Half as much again as the face.
    Middle,
    /// The face alone.
    Close,
}

/// A face to be read, where it stands, and in what light.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub photo: &'a Photo,
    /// Index of the photo among those that are seen together.
    pub photo_index: usize,
    /// Index of the face among the photo's, tallest first.
    pub face_index: usize,
    pub detection: Detection,
    /// From the photo to the aligned crop.
    pub transform: Similarity,
    /// Whether it is one of those in the foreground; others get the wide look alone, for nobody asks for them.
    pub is_principal: bool,
    /// Grain of the photo in the face, grey levels.
    pub grain: f32,
}

impl Subject<'_> {
    /// Whether grain is taken away before it is looked at.
    pub(super) fn is_grainy(&self) -> bool {
        self.grain > grain::NOTICEABLE
    }

    /// The square of the close and middle look.
    pub(super) fn square(&self, view: View, side: usize) -> Similarity {
        let scale = if view == View::Middle { 1.5 } else { 1.0 };
        square(&self.detection, scale, side, [self.photo.width, self.photo.height])
    }
}

/// One look at one face, to be scored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance<'a> {
    /// Index of the face among the subjects.
    index: usize,
    pub subject: &'a Subject<'a>,
    pub view: View,
}

/// Looks at each of these faces; `score` gives the log-odds of each of some glances, which are at least one.
///
/// # Errors
/// Those of `score`.
pub(super) fn look_at(subjects: &[Subject], score: &dyn Fn(&[Glance]) -> Result<Vec<f32>>) -> Result<Vec<Looks>> {
    let glances = |view: View, wanted: &dyn Fn(usize) -> bool| -> Vec<Glance> {
        let chosen = subjects.iter().enumerate().filter(|(index, _)| wanted(*index));
        chosen.map(|(index, subject)| Glance { index, subject, view }).collect()
    };
    let mut looks = vec![Looks::default(); subjects.len()];
    let is_principal = |index: usize| subjects[index].is_principal;
    let first = [glances(View::Wide, &|_| true), glances(View::Close, &is_principal)].concat();
    take(&first, score, &mut looks)?;
    let doubted = glances(View::Middle, &|index| is_principal(index) && looks[index].log_odds() < DOUBT);
    take(&doubted, score, &mut looks)?;
    Ok(looks)
}

/// Scores glances in one batch, and writes each score to the looks of its subject.
fn take(glances: &[Glance], score: &dyn Fn(&[Glance]) -> Result<Vec<f32>>, looks: &mut [Looks]) -> Result<()> {
    if glances.is_empty() {
        return Ok(());
    }
    for (glance, odds) in glances.iter().zip(score(glances)?) {
        let looks = &mut looks[glance.index];
        match glance.view {
            View::Wide => looks.wide = odds,
            View::Middle => looks.middle = Some(odds),
            View::Close => looks.close = Some(odds),
        }
    }
    Ok(())
}
