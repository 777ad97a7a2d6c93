//! Whether two selfies of the same people are one picture, cropped, scaled or mirrored.
//!
//! Candidates are pairs of submissions whose members are alike ([`crate::matching`]). Landmarks of member and worker lie
//! in one picture as in the other, up to scale and shift; where they do, [`crate::photo::Thumbnail`] looks at the rest.
//! Nothing but what is kept of a picture is needed, so an earlier night's picture is known like one of tonight's.

use crate::config::policy::ReusePolicy;
use crate::gallery::Marks;
use crate::photo::Miniature;
use crate::photo::thumbnail::{Fit, Overlay, Thumbnail};

/// An earlier picture, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Landmarks: the member's face first.
    pub faces: &'a [Marks],
    /// Its means.
    pub miniature: &'a Miniature,
}

/// A picture of tonight.
#[derive(Debug, Clone, Copy)]
pub struct Later<'a> {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Landmarks: the member's face first.
    pub faces: &'a [Marks],
    /// The picture, small.
    pub thumbnail: &'a Thumbnail,
}

/// How the later picture lies on the earlier one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Copied {
    /// RMS distance of the landmarks from where they should be, in eye distances.
    pub landmarks: f32,
    /// How well the rest fits.
    pub fit: Fit,
    /// Whether it is the mirror image.
    pub mirrored: bool,
}

/// Lays one over the other, as it is and mirrored; `None` where that cannot be tried, or the pictures are two. Of all
/// ways on which the landmarks agree it is the one on which the rest fits best.
pub fn copied(earlier: Earlier, later: Later, policy: &ReusePolicy) -> Option<Copied> {
    let ways = [false, true].into_iter().flat_map(|mirrored| {
        let pairs = earlier.faces.iter().skip(1).flat_map(|a| later.faces.iter().skip(1).map(move |b| (a, b)));
        pairs.filter_map(move |(a, b)| attempt(earlier, later, (a, b), mirrored, policy.copy_landmarks))
    });
    ways.min_by(|a, b| a.fit.residual.total_cmp(&b.fit.residual))
        .filter(|found| found.fit.residual <= policy.copy_difference && found.fit.overlap >= policy.copy_overlap)
}

/// With one pair of other faces taken for the same person; `None` where the landmarks are farther off than `most`, for
/// then the pixels need not be asked.
fn attempt(earlier: Earlier, later: Later, others: (&Marks, &Marks), mirrored: bool, most: f32) -> Option<Copied> {
    let pixels = |m: &Marks| m.map(|p| p.map(|v| f64::from(v) / 10.0));
    let order = if mirrored { [1, 0, 2, 4, 3] } else { [0, 1, 2, 3, 4] };
    let mut points = Vec::with_capacity(10);
    for (from, to) in [(earlier.faces.first()?, later.faces.first()?), others] {
        let (from, to) = (pixels(from), pixels(to));
        points.extend(order.iter().zip(to).map(|(&at, to)| (from[at], to)));
    }
    let [wide, high] = earlier.size.map(f64::from);
    let place = Overlay::from_points(&points, mirrored, wide)?;
    let off = |(from, to): &([f64; 2], [f64; 2])| {
        let (x, y) = place.map(from[0], from[1], wide);
        (x - to[0]).powi(2) + (y - to[1]).powi(2)
    };
    let rms = (points.iter().map(off).sum::<f64>() / points.len() as f64).sqrt();
    let eyes = |m: [f64; 2], n: [f64; 2]| (m[0] - n[0]).hypot(m[1] - n[1]);
    let unit = (eyes(points[0].1, points[1].1) + eyes(points[5].1, points[6].1)) / 2.0;
    let landmarks = (rms / unit.max(1.0)) as f32;
    let fit = (landmarks <= most)
        .then(|| later.thumbnail.fit(later.size.map(f64::from), earlier.miniature, [wide, high], place))??;
    Some(Copied { landmarks, fit, mirrored })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::Photo;

    fn picture(window: [f64; 4], mirror: bool, moved: f64) -> Photo {
        let (width, height) = ((400.0 * window[2]) as usize, (300.0 * window[3]) as usize);
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let x = if mirror { width - 1 - x } else { x };
                let (u, v) = (window[0] + x as f64 / 400.0, window[1] + y as f64 / 300.0);
                let body = if (u - 0.3 - moved).abs() < 0.12 && v > 0.4 { -60.0 } else { 0.0 };
                rgb.extend([(130.0 + 60.0 * (9.0 * u + 4.0 * v).sin() + body) as u8; 3]);
            }
        }
        Photo { width, height, rgb }
    }

    /// Two faces, each at some place of the scene, seen through a window.
    fn marks(window: [f64; 4], mirror: bool, moved: f64) -> Vec<Marks> {
        let face = |cx: f64, cy: f64| -> Marks {
            let spots = [(-0.03, -0.03), (0.03, -0.03), (0.005, 0.01), (-0.02, 0.04), (0.022, 0.04)];
            let place = |(dx, dy): (f64, f64)| {
                let x = (cx + dx - window[0]) * 400.0;
                let x = if mirror { 400.0 * window[2] - x } else { x };
                [(x * 10.0) as i32, ((cy + dy - window[1]) * 3000.0) as i32]
            };
            let marks = spots.map(place);
            if mirror { [1, 0, 2, 4, 3].map(|k: usize| marks[k]) } else { marks }
        };
        vec![face(0.3 + moved, 0.45), face(0.6, 0.5)]
    }

    fn answer(window: [f64; 4], mirror: bool, moved: f64) -> Option<Copied> {
        let whole = [0.0, 0.0, 1.0, 1.0];
        let (a, b) = (picture(whole, false, 0.0), picture(window, mirror, moved));
        let (old, new) = (marks(whole, false, 0.0), marks(window, mirror, moved));
        let (miniature, thumbnail) = (Miniature::of(&a), Thumbnail::of(&b));
        let earlier = Earlier { size: [400, 300], faces: &old, miniature: &miniature };
        let later = Later { size: [b.width as u32, b.height as u32], faces: &new, thumbnail: &thumbnail };
        copied(earlier, later, &ReusePolicy::default())
    }

    #[test]
    fn a_crop_is_that_picture_and_the_next_picture_is_not() {
        for mirror in [false, true] {
            assert_eq!(answer([0.05, 0.06, 0.9, 0.88], mirror, 0.0).unwrap().mirrored, mirror);
            assert_eq!(answer([0.05, 0.06, 0.9, 0.88], mirror, 0.07), None, "somebody moved");
        }
    }

    #[test]
    fn one_face_alone_says_nothing() {
        let photo = picture([0.0, 0.0, 1.0, 1.0], false, 0.0);
        let faces = &marks([0.0, 0.0, 1.0, 1.0], false, 0.0)[..1];
        let (miniature, thumbnail) = (Miniature::of(&photo), Thumbnail::of(&photo));
        let earlier = Earlier { size: [400, 300], faces, miniature: &miniature };
        let later = Later { size: [400, 300], faces, thumbnail: &thumbnail };
        assert_eq!(copied(earlier, later, &ReusePolicy::default()), None);
    }
}
