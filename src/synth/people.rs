//! The face pictures a dump is made from: a folder `NAME/*.jpg`, or a table that says where each face is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::canvas::Canvas;
use crate::{Error, Result};

/// Pictures are reduced to this long side before they are used: no face in a selfie needs more.
const LONGEST: u32 = 900;

/// A face box in pixels: left, top, width, height; from the brow to the chin, as detectors draw it.
pub type FaceBox = [f32; 4];

/// One picture of one person.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// The file.
    pub path: PathBuf,
    /// The file as the truth table names it: relative to the folder or the table.
    pub name: String,
    /// Where the face is, if a table says so.
    pub face: Option<FaceBox>,
}

/// One person and all their pictures.
#[derive(Debug, Clone)]
pub struct Person {
    /// The folder's or the table's name for them.
    pub name: String,
    /// At least one picture, in order of name.
    pub portraits: Vec<Portrait>,
}

/// A decoded picture and its face.
#[derive(Debug, Clone)]
pub struct Source {
    /// The picture.
    pub picture: Canvas,
    /// Where its face is.
    pub face: FaceBox,
}

/// The people of a folder `NAME/*.{jpg,jpeg,png,webp}`, or of a CSV table with a header and the columns `person,path`
/// or `person,path,x,y,w,h` (paths relative to the table; no quoting, no commas inside a field), in order of name.
///
/// # Errors
/// [`Error::Input`] when there is nothing to read or a line of the table cannot be understood.
pub fn read(faces: &Path) -> Result<Vec<Person>> {
    let people = if faces.is_dir() { read_folder(faces)? } else { read_table(faces)? };
    if people.is_empty() {
        return Err(Error::input(
            faces,
            "face pictures",
            "folders NAME/ with .jpg, .png or .webp pictures of one person each",
            "none",
            "name such a folder, or a CSV table with the columns person,path[,x,y,w,h]",
        ));
    }
    Ok(people)
}

fn read_folder(root: &Path) -> Result<Vec<Person>> {
    let mut people = Vec::new();
    for folder in listed(root)?.into_iter().filter(|p| p.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut portraits = Vec::new();
        for path in listed(&folder)? {
            let kind = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
            if ["jpg", "jpeg", "png", "webp"].contains(&kind.as_str()) {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                portraits.push(Portrait { name: format!("{name}/{file}"), path, face: None });
            }
        }
        if !portraits.is_empty() {
            people.push(Person { name, portraits });
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

fn read_table(table: &Path) -> Result<Vec<Person>> {
    let text = fs::read_to_string(table).map_err(Error::io("read", table))?;
    let root = table.parent().unwrap_or(Path::new("."));
    let fix = "write person,path or person,path,x,y,w,h in pixels";
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, l)| l.trim()).unwrap_or_default();
    let with_box = match header {
        "person,path" => false,
        "person,path,x,y,w,h" => true,
        other => return Err(Error::input(table, "header", "person,path or person,path,x,y,w,h", other, fix)),
    };
    let mut people = BTreeMap::<String, Vec<Portrait>>::new();
    for (number, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let wrong = || Error::input(table, format!("line {}", number + 1), header, line, fix);
        if fields.len() != if with_box { 6 } else { 2 } {
            return Err(wrong());
        }
        let numbers = fields[2..].iter().map(|f| f.parse::<f32>()).collect::<Result<Vec<_>, _>>();
        let numbers = numbers.map_err(|_| wrong())?;
        let face = match numbers[..] {
            [x, y, w, h] if w > 0.0 && h > 0.0 && (x + y + w + h).is_finite() => Some([x, y, w, h]),
            [] => None,
            _ => return Err(wrong()),
        };
        let portrait = Portrait { path: root.join(fields[1]), name: fields[1].to_owned(), face };
        people.entry(fields[0].to_owned()).or_default().push(portrait);
    }
    Ok(people.into_iter().map(|(name, portraits)| Person { name, portraits }).collect())
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
        let face = self.face.unwrap_or_else(|| {
            let (w, h) = (width as f32, height as f32);
            let side = w.min(h);
            [0.5 * w - 0.18 * side, 0.49 * h - 0.235 * side, 0.36 * side, 0.47 * side]
        });
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
}
