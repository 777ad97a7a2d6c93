//! What the liveness network is shown of a face: up to three looks, and the mean of what it says.
//!
//! The network was trained on a face with its surroundings, where the edges of prints and phones show (the wide look). A
//! square of the face alone, about three times as large in the network's eyes, shows what screens and prints do to skin (the
//! close look). Each misses what the other sees, so every face in the foreground is looked at in both ways; where they
//! leave a doubt, once more from between. Nothing here was fitted: log-odds are averaged with equal weights
//! (`benches/results/liveness.md` has the rules that were tried).

use candle_core::Tensor;

use super::analysis::Looks;
use super::engine::Engine;
use crate::Result;
use crate::face::align::warp_into;
use crate::face::crop::{Colours, Region, resize_into, square};
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

/// Gives the log-odds of single views, by the index of the face.
type Score<'a> = dyn Fn(&[(usize, View)]) -> Result<Vec<f32>> + 'a;

/// A face, where it stands, and in what light.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Index of its photo.
    pub photo: usize,
    /// The face.
    pub face: &'a Detection,
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
    pub(super) fn square(&self, view: View, side: usize, photo: &Photo) -> Similarity {
        let scale = if view == View::Middle { 1.5 } else { 1.0 };
        square(self.face, scale, side, [photo.width, photo.height])
    }
}

impl Engine {
    /// Looks at each of these faces; `score` gives the log-odds of single views, by the index of the face, in one batch.
    ///
    /// # Errors
    /// The network's.
    pub(super) fn look_at(&self, subjects: &[Subject], score: &Score) -> Result<Vec<Looks>> {
        let mut looks = vec![Looks::default(); subjects.len()];
        let close = |&index: &usize| subjects[index].is_principal;
        let first: Vec<(usize, View)> = (0..subjects.len())
            .map(|index| (index, View::Wide))
            .chain((0..subjects.len()).filter(close).map(|index| (index, View::Close)))
            .collect();
        let mut take = |views: &[(usize, View)]| -> Result<Vec<Looks>> {
            if !views.is_empty() {
                for (&(index, view), odds) in views.iter().zip(score(views)?) {
                    match view {
                        View::Wide => looks[index].wide = odds,
                        View::Middle => looks[index].middle = Some(odds),
                        View::Close => looks[index].close = Some(odds),
                    }
                }
            }
            Ok(looks.clone())
        };
        let seen = take(&first)?;
        let is_doubted = |&index: &usize| subjects[index].is_principal && seen[index].log_odds() < DOUBT;
        let again: Vec<(usize, View)> =
            (0..subjects.len()).filter(is_doubted).map(|index| (index, View::Middle)).collect();
        take(&again)
    }

    /// The crops of single views, `(views, side, side, 3)`, red first, cut out by the host.
    ///
    /// # Errors
    /// The device's.
    pub(super) fn cut_views(&self, photos: &[&Photo], subjects: &[Subject], views: &[(usize, View)]) -> Result<Tensor> {
        let side = self.liveness.input_size();
        let mut input = vec![0.0; views.len() * side * side * 3];
        for (&(index, view), crop) in views.iter().zip(input.chunks_exact_mut(side * side * 3)) {
            let subject = &subjects[index];
            let photo = photos[subject.photo];
            let shrunk = match view {
                View::Wide => {
                    let scale = self.liveness.box_scale();
                    let region = Region::around(subject.face, scale, photo.width, photo.height);
                    resize_into(photo, region, side, Colours::Rgb, crop);
                    1.0
                }
                View::Middle | View::Close => {
                    let square = subject.square(view, side, photo);
                    warp_into(photo, &square, (side, side), crop);
                    square.scale().min(1.0) as f32
                }
            };
            if subject.is_grainy() {
                // Where a crop was made smaller by averaging, so was its noise.
                grain::remove(crop, side, subject.grain * shrunk);
            }
        }
        Ok(Tensor::from_vec(input, (views.len(), side, side, 3), &self.device)?)
    }

    /// A face of photo number `index`, all of whose faces are `all`, tallest first.
    pub(super) fn subject<'a>(
        &self,
        index: usize,
        photo: &Photo,
        face: &'a Detection,
        all: &[Detection],
    ) -> Subject<'a> {
        let tallest = all.first().map_or(0.0, |tallest| tallest.bbox[3]);
        let is_principal = face.bbox[3] >= tallest * self.policy.roles.principal_ratio;
        Subject { photo: index, face, is_principal, grain: grain::estimate(photo, face) }
    }
}
