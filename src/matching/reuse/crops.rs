//! Whether two selfies that show the same people are one picture, cropped, scaled, turned or mirrored.
//!
//! Candidates are pairs of submissions whose members are alike ([`crate::matching`]); both pictures must be at hand. The
//! landmarks of the faces that both show say how one picture lies on the other, and [`crate::photo::same`] lays it there.

use crate::infer::SeenPhoto;
use crate::infer::template::similarity;
use crate::photo::Photo;
use crate::photo::same::{Sameness, lay_over};

/// Least similarity at which faces of the two pictures are taken for one face.
const SAME_FACE: f32 = 0.5;

/// Lays one picture over the other, as it is and mirrored; the better fit, or `None` when they show no common face.
pub fn compare_pictures(a: (&Photo, &SeenPhoto), b: (&Photo, &SeenPhoto)) -> Option<Sameness> {
    let fit = |mirrored| lay_over(a.0, b.0, &common_points(a.1, b.1, mirrored), mirrored);
    [fit(false), fit(true)]
        .into_iter()
        .flatten()
        .min_by(|x, y| y.is_same().cmp(&x.is_same()).then(x.residual.total_cmp(&y.residual)))
}

/// The landmarks of the faces that both pictures show, five for each; for a mirrored picture left and right are
/// exchanged. Of one picture's faces each is used once, the most similar pair first.
pub fn common_points(a: &SeenPhoto, b: &SeenPhoto, mirrored: bool) -> Vec<([f32; 2], [f32; 2])> {
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (i, x) in a.faces.iter().enumerate() {
        for (j, y) in b.faces.iter().enumerate() {
            if let (Some(x), Some(y)) = (&x.reading, &y.reading)
                && x.template.dim() == y.template.dim()
            {
                pairs.push((similarity(&x.template, &y.template), i, j));
            }
        }
    }
    pairs.retain(|pair| pair.0 >= SAME_FACE);
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    let (mut used_a, mut used_b) = (vec![false; a.faces.len()], vec![false; b.faces.len()]);
    let mut points = Vec::new();
    for (_, i, j) in pairs {
        if !used_a[i] && !used_b[j] {
            (used_a[i], used_b[j]) = (true, true);
            let order = if mirrored { [1, 0, 2, 4, 3] } else { [0, 1, 2, 3, 4] };
            let (from, to) = (&a.faces[i].detection.landmarks, &b.faces[j].detection.landmarks);
            points.extend(order.iter().zip(to).map(|(&at, &to)| (from[at], to)));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Detection, Quality};
    use crate::infer::{Reading, SeenFace, Template};
    use crate::photo::Fingerprint;

    fn face(axis: usize, landmarks: [[f32; 2]; 5]) -> SeenFace {
        let mut embedding = vec![0.1f32; 16];
        embedding[axis] = 2.0;
        let template = Template::from_embedding(&embedding).unwrap();
        let reading = Some(Reading { quality: Quality::default(), liveness: 1.0, template });
        SeenFace { detection: Detection { bbox: [0.0; 4], landmarks, score: 0.9 }, reading }
    }

    fn seen(faces: Vec<SeenFace>) -> SeenPhoto {
        let fingerprint = Fingerprint { sha256: [0; 32], dhash: 0, mirrored_dhash: 0 };
        SeenPhoto { width: 0, height: 0, fingerprint, faces }
    }

    #[test]
    fn faces_are_matched_by_who_they_are() {
        let marks = |x: f32| [[x, 1.0], [x + 1.0, 1.0], [x, 2.0], [x, 3.0], [x + 1.0, 3.0]];
        let a = seen(vec![face(0, marks(10.0)), face(1, marks(20.0)), face(2, marks(30.0))]);
        let b = seen(vec![face(1, marks(200.0)), face(0, marks(100.0))]);
        let points = common_points(&a, &b, false);
        assert_eq!(points.len(), 10);
        assert!(points.contains(&([10.0, 1.0], [100.0, 1.0])) && points.contains(&([21.0, 3.0], [201.0, 3.0])));
        let mirrored = common_points(&a, &b, true);
        assert!(mirrored.contains(&([11.0, 1.0], [100.0, 1.0])) && mirrored.contains(&([10.0, 2.0], [100.0, 2.0])));
        assert!(common_points(&a, &seen(vec![]), false).is_empty());
    }

    #[test]
    fn a_mirrored_copy_is_that_picture_and_strangers_are_none() {
        let (width, height) = (200usize, 150usize);
        let value = |x: usize, y: usize| {
            (128.0 + 50.0 * (x as f32 * 0.09).sin() + 40.0 * (y as f32 * 0.07 + x as f32 * 0.02).cos()) as u8
        };
        let picture = |mirror: bool| {
            let at = |i: usize| value(if mirror { width - 1 - i % width } else { i % width }, i / width);
            Photo { width, height, rgb: (0..width * height).flat_map(|i| [at(i); 3]).collect() }
        };
        let marks = [[60.0, 50.0], [100.0, 50.0], [80.0, 70.0], [65.0, 95.0], [98.0, 95.0]];
        let order = [1, 0, 2, 4, 3];
        let flipped = order.map(|at: usize| [width as f32 - marks[at][0], marks[at][1]]);
        let (plain, mirrored) = (picture(false), picture(true));
        let (a, b) = (seen(vec![face(0, flipped)]), seen(vec![face(0, marks)]));
        assert!(compare_pictures((&mirrored, &a), (&plain, &b)).unwrap().is_same());
        assert_eq!(compare_pictures((&mirrored, &a), (&plain, &seen(vec![face(1, marks)]))), None);
    }
}
