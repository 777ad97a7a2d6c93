//! Pictures that went through an editor, or that a screen and no camera took.
//!
//! No forensics beyond what the file says of itself. Phones and messengers write odd things, too; how often peers' pictures do is
//! what a worker's are held against.

use super::visit::Visit;

/// What programs for editing and screenshots are called, in small letters, as they name themselves in a file.
const EDITORS: &[&str] = &[
    "photoshop",
    "lightroom",
    "snapseed",
    "picsart",
    "gimp",
    "canva",
    "faceapp",
    "facetune",
    "meitu",
    "beautyplus",
    "airbrush",
    "remini",
    "pixlr",
    "inshot",
    "photogrid",
    "polarr",
    "vsco",
    "b612",
    "youcam",
    "picasa",
    "paint.net",
    "krita",
    "affinity",
    "screenshot",
    "screen capture",
];

/// Screens of phones are at least so much longer than wide since about 2018; cameras make 4:3, 3:2 and 16:9.
const SCREEN_ASPECT: f64 = 1.95;

/// Whether each picture says so; `None` where it cannot be read.
pub(super) fn edited(visits: &[Visit]) -> Vec<Option<bool>> {
    let of_one = |visit: &Visit| {
        let camera = visit.camera?;
        let software = camera.software.as_deref().unwrap_or_default().to_lowercase();
        let is_editor = EDITORS.iter().any(|editor| software.contains(editor));
        let is_screen = camera.model.is_none() && visit.aspect.is_some_and(|aspect| aspect >= SCREEN_ASPECT);
        Some(is_editor || is_screen || camera.thumbnail_differs == Some(true))
    };
    visits.iter().map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::visit::tests::visit;
    use super::*;
    use crate::photo::Camera;

    #[test]
    fn editors_screens_and_other_thumbnails_are_seen() {
        let camera = |model: Option<&str>, software: Option<&str>| Camera {
            model: model.map(str::to_owned),
            software: software.map(str::to_owned),
            ..Camera::default()
        };
        let shown = |camera: &Camera, aspect: f64| {
            edited(&[Visit { camera: Some(camera), aspect: Some(aspect), ..visit("A", 0, 0) }])[0]
        };
        let phone = camera(Some("SM-A125F"), Some("A125FXXU3BVC4"));
        assert_eq!(shown(&phone, 4.0 / 3.0), Some(false));
        assert_eq!(
            shown(&phone, 20.0 / 9.0),
            Some(false),
            "a camera that says which it is may be as wide as its screen"
        );
        assert_eq!(shown(&Camera { thumbnail_differs: Some(true), ..phone }, 4.0 / 3.0), Some(true));
        assert_eq!(shown(&camera(Some("SM-A125F"), Some("Adobe Photoshop Lightroom 9.1")), 1.5), Some(true));
        assert_eq!(shown(&camera(None, None), 16.0 / 9.0), Some(false), "apps strip what a camera wrote");
        assert_eq!(shown(&camera(None, None), 2400.0 / 1080.0), Some(true));
        assert_eq!(edited(&[visit("A", 0, 0)]), [None]);
    }
}
