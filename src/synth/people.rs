//! The face pictures a dump is made from: a folder `NAME/*.jpg`, or a table that says whose and where each face is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::canvas::Canvas;
use crate::{Error, Result};

/// Pictures are reduced to this long side before they are used: no face in a selfie needs more.
const LONGEST: u32 = 900;

/// Labels of bona fide presentations in tables of live faces and attacks.
pub const LIVE_LABELS: [&str; 5] = ["live", "bona_fide", "bonafide", "real", "1"];
/// Labels of attack presentations.
pub const ATTACK_LABELS: [&str; 8] = ["spoof", "attack", "fake", "imposter", "impostor", "print", "replay", "0"];

/// A face box in pixels: left, top, width, height; from the brow to the chin, as detectors draw it.
pub type FaceBox = [f32; 4];

/// Finds the largest face of a picture file; `None` where there is none.
pub type FindFace<'a> = dyn Fn(&Path) -> Result<Option<FaceBox>> + Sync + 'a;

/// Where the pictures of a dump come from.
#[derive(Clone, Copy)]
pub struct Collections<'a> {
    /// Pictures of live people.
    pub live: &'a Path,
    /// Pictures of attacks, to be pasted by the same means.
    pub attacks: Option<&'a Path>,
    /// Finds faces of which no table says where they are, and leaves out pictures without one. Without it a face is taken
    /// to be in the middle of its picture, as in LFW.
    pub find_face: Option<&'a FindFace<'a>>,
    /// Whether a collection stays as it is, its faces in the middle, where a sample of its pictures is framed as LFW's: nothing
    /// is looked for in them then.
    pub may_be_framed: bool,
}

impl<'a> Collections<'a> {
    /// Live people with faces in the middle of their pictures.
    pub fn of_live(live: &'a Path) -> Self {
        Collections { live, attacks: None, find_face: None, may_be_framed: false }
    }
}

/// One picture of one person.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// The file.
    pub path: PathBuf,
    /// The file as the truth table names it: relative to the folder or the table.
    pub name: String,
    /// Where the face is, if a table or a detector says so.
    pub face: Option<FaceBox>,
    /// The species of attack, if a table says so.
    pub species: Option<String>,
}

/// One person and all their pictures.
#[derive(Debug, Clone)]
pub struct Person {
    /// The folder's or the table's name for them.
    pub name: String,
    /// At least one picture, in order of name.
    pub portraits: Vec<Portrait>,
    /// Whether the pictures are attacks that show this person.
    pub is_attack: bool,
}

/// A decoded picture and its face.
#[derive(Debug, Clone)]
pub struct Source {
    /// The picture.
    pub picture: Canvas,
    /// Where its face is.
    pub face: FaceBox,
}

/// All people of the collections, in order of name, those of attacks behind the live ones.
///
/// A collection is a folder `NAME/*.{jpg,jpeg,png,webp}`, or a CSV table with a header and the columns `person` (or
/// `subject`) and `path`, perhaps `x,y,w,h`, `label` and `species`; paths are relative to the table. Of a table with labels
/// only the rows of the collection's own kind count, so that one table can hold both.
///
/// # Errors
/// [`Error::Input`] when there is nothing to read or a line of a table cannot be understood; what `find_face` returns.
pub fn read(collections: &Collections) -> Result<Vec<Person>> {
    let mut people = read_one(collections.live, false)?;
    if let Some(attacks) = collections.attacks {
        people.extend(read_one(attacks, true)?);
    }
    let Some(find_face) = collections.find_face else { return Ok(people) };
    if collections.may_be_framed && are_framed(&people, find_face)? {
        return Ok(people);
    }
    for person in &mut people {
        let find = |mut portrait: Portrait| -> Result<Option<Portrait>> {
            portrait.face = portrait.face.map_or_else(|| find_face(&portrait.path), |face| Ok(Some(face)))?;
            Ok(portrait.face.is_some().then_some(portrait))
        };
        let portraits = std::mem::take(&mut person.portraits);
        let found = portraits.into_par_iter().map(find).collect::<Result<Vec<_>>>()?;
        person.portraits = found.into_iter().flatten().collect();
    }
    people.retain(|person| !person.portraits.is_empty());
    let is_there = |attack: bool| people.iter().any(|person| person.is_attack == attack);
    match (is_there(false), is_there(true) || collections.attacks.is_none()) {
        (false, _) => Err(nothing(collections.live, "no face in any picture")),
        (_, false) => Err(nothing(collections.attacks.unwrap_or(collections.live), "no face in any picture")),
        _ => Ok(people),
    }
}

/// So many pictures are looked at to tell how a collection is framed.
const SAMPLE: usize = 24;

/// Whether faces are where [`in_the_middle`] takes them to be, as high as there within a third: by the median of a sample of the
/// pictures of which no table says where their face is. So it is where there are none, and where no face is found.
fn are_framed(people: &[Person], find_face: &FindFace) -> Result<bool> {
    let unplaced: Vec<&Portrait> =
        people.iter().flat_map(|person| &person.portraits).filter(|portrait| portrait.face.is_none()).collect();
    let step = unplaced.len().div_ceil(SAMPLE).max(1);
    let ratio = |portrait: &&Portrait| -> Result<Option<f32>> {
        let Some([_, _, _, height]) = find_face(&portrait.path)? else { return Ok(None) };
        let size = image::image_dimensions(&portrait.path).ok();
        Ok(size.map(|(wide, high)| height / in_the_middle(wide as f32, high as f32)[3]))
    };
    let sample: Vec<&Portrait> = unplaced.into_iter().step_by(step).collect();
    let found = sample.par_iter().map(ratio).collect::<Result<Vec<_>>>()?;
    let mut ratios: Vec<f32> = found.into_iter().flatten().collect();
    ratios.sort_by(f32::total_cmp);
    Ok(ratios.get(ratios.len() / 2).is_none_or(|median| (0.67..1.5).contains(median)))
}

/// Where LFW has its faces.
fn in_the_middle(w: f32, h: f32) -> FaceBox {
    let side = w.min(h);
    [0.5 * w - 0.18 * side, 0.49 * h - 0.235 * side, 0.36 * side, 0.47 * side]
}

fn nothing(faces: &Path, found: &str) -> Error {
    Error::input(
        faces,
        "face pictures",
        "folders NAME/ with .jpg, .png or .webp pictures of one person each",
        found,
        "name such a folder, or a CSV table with the columns person,path[,x,y,w,h]",
    )
}

fn read_one(faces: &Path, is_attack: bool) -> Result<Vec<Person>> {
    let people = if faces.is_dir() { read_folder(faces)? } else { read_table(faces, is_attack)? };
    match people.is_empty() {
        true => Err(nothing(faces, "none")),
        false => Ok(people.into_iter().map(|(name, portraits)| Person { name, portraits, is_attack }).collect()),
    }
}

/// Pictures by person.
type Portraits = BTreeMap<String, Vec<Portrait>>;

fn read_folder(root: &Path) -> Result<Portraits> {
    let mut people = Portraits::new();
    for folder in listed(root)?.into_iter().filter(|p| p.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut portraits = Vec::new();
        for path in listed(&folder)? {
            let kind = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
            if ["jpg", "jpeg", "png", "webp"].contains(&kind.as_str()) {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                portraits.push(Portrait { name: format!("{name}/{file}"), path, face: None, species: None });
            }
        }
        if !portraits.is_empty() {
            people.insert(name, portraits);
        }
    }
    Ok(people)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut paths =
        entries.map(|e| e.map(|e| e.path()).map_err(Error::io("list", folder))).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn read_table(table: &Path, is_attack: bool) -> Result<Portraits> {
    let columns = "person,path[,x,y,w,h][,label][,species]";
    let fix = "write person,path or person,path,x,y,w,h in pixels; label is live or spoof";
    let refuse = |item: String, found: String| Error::input(table, item, columns, found, fix);
    let root = table.parent().unwrap_or(Path::new("."));
    let file = fs::File::open(table).map_err(Error::io("read", table))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().map_err(|e| refuse("header".into(), e.to_string()))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let named = place("person").or_else(|| place("subject")).zip(place("path"));
    let sides = ["x", "y", "w", "h"].map(place);
    let (Some((person, path)), true) = (named, sides.iter().all(Option::is_some) || sides.iter().all(Option::is_none))
    else {
        return Err(refuse("header".into(), header.iter().collect::<Vec<_>>().join(",")));
    };
    let (label, species) = (place("label"), place("species"));
    let mut people = Portraits::new();
    for (number, record) in reader.records().enumerate() {
        let item = format!("line {}", number + 2);
        let record = record.map_err(|e| refuse(item.clone(), e.to_string()))?;
        let wrong = || refuse(item.clone(), record.iter().collect::<Vec<_>>().join(","));
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let word = label.map(|place| cell(place).to_ascii_lowercase());
        let is_other = match word.as_deref() {
            None => false,
            Some(word) if LIVE_LABELS.contains(&word) => is_attack,
            Some(word) if ATTACK_LABELS.contains(&word) => !is_attack,
            Some(_) => return Err(wrong()),
        };
        if is_other {
            continue;
        }
        let numbers: Vec<f32> =
            sides.iter().flatten().map(|&side| cell(side).parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let face = match numbers[..] {
            [x, y, w, h] if w > 0.0 && h > 0.0 && (x + y + w + h).is_finite() => Some([x, y, w, h]),
            [] => None,
            _ => return Err(wrong()),
        };
        if cell(person).is_empty() || cell(path).is_empty() {
            return Err(wrong());
        }
        let portrait = Portrait {
            path: root.join(cell(path)),
            name: cell(path).to_owned(),
            face,
            species: species.map(cell).filter(|name| !name.is_empty()).map(str::to_owned),
        };
        people.entry(cell(person).to_owned()).or_default().push(portrait);
    }
    Ok(people)
}

impl Portrait {
    /// Decodes the picture. Without a box the face is taken to be in the middle, as in aligned collections: in LFW's
    /// 250 x 250 pictures it is about 90 pixels wide and 117 high.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is no picture: a source that cannot be read would leave the truth untrue.
    pub fn load(&self) -> Result<Source> {
        let unreadable = |found: String| {
            Error::input(&self.path, "face picture", "a JPEG, PNG or WebP file", found, "repair or remove the file")
        };
        let bytes = fs::read(&self.path).map_err(Error::io("read", &self.path))?;
        let image = image::load_from_memory(&bytes).map_err(|e| unreadable(e.to_string()))?;
        let (width, height) = (image.width(), image.height());
        if width.min(height) < 32 {
            return Err(unreadable(format!("{width} x {height} pixels")));
        }
        let face = self.face.unwrap_or_else(|| in_the_middle(width as f32, height as f32));
        let longest = width.max(height);
        let (image, scale) = if longest > LONGEST {
            let kind = image::imageops::FilterType::Triangle;
            (image.resize(LONGEST, LONGEST, kind), LONGEST as f32 / longest as f32)
        } else {
            (image, 1.0)
        };
        Ok(Source { picture: Canvas::from_image(&image.to_rgb8()), face: face.map(|v| v * scale) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_folders_give_people_in_order() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join("faces.csv");
        fs::write(&table, "person,path,x,y,w,h\nb,b/1.png,1,2,3,4\na,a/1.png,1,2,30,40\nb,b/2.png,1,2,3,4\n").unwrap();
        let read = |faces: &Path| read(&Collections::of_live(faces));
        let people = read(&table).unwrap();
        assert_eq!(people.iter().map(|p| (&p.name[..], p.portraits.len())).collect::<Vec<_>>(), [("a", 1), ("b", 2)]);
        assert_eq!(people[0].portraits[0].face, Some([1.0, 2.0, 30.0, 40.0]));

        for bad in [
            "person;path\n",
            "person,path\na\n",
            "person,path,x,y,w,h\na,b,1,2,3,x\n",
            "person,path,x,y,w,h\na,b,0,0,0,0\n",
        ] {
            fs::write(&table, bad).unwrap();
            assert!(matches!(read(&table), Err(Error::Input { .. })), "{bad}");
        }

        assert!(matches!(read(&root.path().join("none")), Err(Error::Io { .. })));
        fs::remove_file(&table).unwrap();
        assert!(matches!(read(root.path()), Err(Error::Input { .. })));
        fs::create_dir(root.path().join("p")).unwrap();
        image::RgbImage::new(40, 50).save(root.path().join("p/x.png")).unwrap();
        fs::write(root.path().join("p/notes.txt"), "not a picture").unwrap();
        let people = read(root.path()).unwrap();
        assert_eq!(people[0].portraits[0].name, "p/x.png");
        let source = people[0].portraits[0].load().unwrap();
        assert_eq!((source.picture.width, source.picture.height), (40, 50));
        fs::write(root.path().join("p/x.png"), "no").unwrap();
        assert!(matches!(people[0].portraits[0].load(), Err(Error::Input { .. })));
    }
    /// Portraits framed wider than LFW's have their faces looked for; those framed like it stay as they are.
    #[test]
    fn a_collection_that_is_framed_otherwise_has_its_faces_found() {
        let root = tempfile::tempdir().unwrap();
        for person in ["p", "q", "r"] {
            fs::create_dir(root.path().join(person)).unwrap();
            image::RgbImage::new(200, 200).save(root.path().join(person).join("x.png")).unwrap();
        }
        let faces = |height: f32| {
            let find =
                move |path: &Path| Ok((!path.ends_with("r/x.png")).then_some([70.0, 60.0, height * 0.8, height]));
            let collections =
                Collections { find_face: Some(&find), may_be_framed: true, ..Collections::of_live(root.path()) };
            let people = read(&collections).unwrap();
            people.iter().map(|person| person.portraits[0].face.map(|face| face[3])).collect::<Vec<_>>()
        };
        assert_eq!(faces(90.0), [None, None, None], "94 is LFW's");
        assert_eq!(faces(40.0), [Some(40.0), Some(40.0)], "the picture without a face is left out");
    }

    #[test]
    fn one_table_holds_live_faces_and_attacks() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join("labels.csv");
        let rows = "live,a,1.png,\nspoof,a,2.png,phone\nspoof,b,3.png,\n";
        fs::write(&table, format!("label,subject,path,species\n{rows}")).unwrap();
        let all = |find_face: Option<&FindFace>| {
            read(&Collections { live: &table, attacks: Some(&table), find_face, may_be_framed: false }).map(|people| {
                let of = |p: &Person| (p.name.clone(), p.is_attack, p.portraits[0].species.clone());
                people.iter().map(of).collect::<Vec<_>>()
            })
        };
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let phone = (a.clone(), true, Some("phone".to_owned()));
        assert_eq!(all(None).unwrap(), [(a.clone(), false, None), phone.clone(), (b, true, None)]);
        // A picture in which no face is found is left out, and a collection of nothing else is refused.
        let find = |path: &Path| Ok((!path.ends_with("3.png")).then_some([1.0, 2.0, 3.0, 4.0]));
        assert_eq!(all(Some(&find)).unwrap(), [(a, false, None), phone]);
        let error = all(Some(&|path: &Path| Ok(path.ends_with("1.png").then_some([1.0; 4])))).unwrap_err();
        assert!(error.to_string().contains("no face in any picture"), "{error}");
        fs::write(&table, "label,subject,path\nmaybe,a,1.png\n").unwrap();
        assert!(matches!(all(None), Err(Error::Input { .. })));
    }
}
