//! [`Analysis`] <-> a row of a table: plain columns, lists and structs that Spark, DuckDB and pandas read.
//!
//! No fixed-size lists and no unsigned numbers, which Spark refuses. Numbers are the bits that were computed: f32 as f32, a
//! template as its f16 master, so that what is read back is what was written.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use half::f16;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::contract::Contract;
use crate::dump::{Place, RowFacts};
use crate::face::{Detection, Quality};
use crate::infer::analysis::Traits;
use crate::infer::{Analysis, Looks, Reading, SeenFace, SeenPhoto, Template};
use crate::photo::{Background, Camera, Composite, Fingerprint, Miniature, StatedSize, Thumbnail};
use crate::reason::{Reason, Reject};
use crate::{Error, Result};

/// Where rows come from: the same in all rows of a SEEN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// With what they were seen.
    pub contract: Contract,
    /// The most memory that one picture might take, bytes: `photo.max_memory` of the policy, or less where the machine has
    /// less. A picture that needs more is `image_too_large`.
    pub picture_memory: i64,
    /// Names the dump: the same for all of its parts.
    pub dump: String,
}

/// Columns of [`Origin`], before those of the row.
pub(super) const VERSION: &str = "seen_version";
/// See [`Origin::picture_memory`].
pub(super) const MEMORY: &str = "picture_memory";
/// See [`Origin::dump`].
pub(super) const DUMP: &str = "dump";
/// Position of a row in the dump, from 0.
pub(super) const ROW: &str = "row";

/// Bytes as bytes, and not as a list of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> de::Visitor<'de> for Reader {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Reader)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    row: i64,
    submission_id: Option<String>,
    worker_id: Option<String>,
    district: Option<String>,
    captured_at: Option<i64>,
    division: Option<String>,
    sector: Option<String>,
    mandalam: Option<String>,
    booth_id: Option<String>,
    mobile: Option<String>,
    epic: Option<String>,
    member_name: Option<String>,
    consent: Option<bool>,
    place: Option<PlaceRow>,
    device_id: Option<String>,
    app_version: Option<String>,
    uploaded_at: Option<i64>,
    network: Option<String>,
    cut: Vec<String>,
    unread: Vec<UnreadCell>,
    selfie: Option<Picture>,
    selfie_reason: Option<String>,
    selfie_detail: Option<String>,
    photo: Option<Picture>,
    photo_reason: Option<String>,
    photo_detail: Option<String>,
    check: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct UnreadCell {
    column: String,
    says: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlaceRow {
    latitude: f64,
    longitude: f64,
    accuracy_m: Option<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CameraRow {
    taken_at: Option<i64>,
    zone_minutes: Option<i32>,
    make: Option<String>,
    model: Option<String>,
    software: Option<String>,
    place: Option<PlaceRow>,
    stated_width: Option<i64>,
    stated_height: Option<i64>,
    thumbnail_differs: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Picture {
    width: i32,
    height: i32,
    turned: i32,
    composite: Option<String>,
    camera: CameraRow,
    sha256: Bytes,
    dhash: i64,
    mirrored_dhash: i64,
    miniature: Bytes,
    thumbnail: Bytes,
    background: Bytes,
    faces: Vec<FaceRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FaceRow {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
    landmarks: Vec<f32>,
    score: f32,
    reading: Option<ReadingRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ReadingRow {
    eye_distance: f32,
    sharpness: f32,
    brightness: f32,
    contrast: f32,
    yaw: f32,
    pitch: f32,
    roll: f32,
    quality: f32,
    live_wide: f32,
    live_close: Option<f32>,
    live_middle: Option<f32>,
    grain: f32,
    template: Bytes,
}

fn field(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

fn fields(named: &[(&str, DataType)]) -> Fields {
    named.iter().map(|(name, data_type)| field(name, data_type.clone())).collect()
}

fn list(item: DataType) -> DataType {
    DataType::List(field("element", item))
}

/// Columns of a row beside its origin.
fn row_fields() -> Vec<FieldRef> {
    use DataType::{Binary, Boolean, Float32, Float64, Int32, Int64, Utf8};
    let numbers = [
        "eye_distance",
        "sharpness",
        "brightness",
        "contrast",
        "yaw",
        "pitch",
        "roll",
        "quality",
        "live_wide",
        "live_close",
        "live_middle",
        "grain",
    ];
    let reading: Vec<(&str, DataType)> =
        numbers.into_iter().map(|name| (name, Float32)).chain([("template", Binary)]).collect();
    let face = fields(&[
        ("left", Float32),
        ("top", Float32),
        ("width", Float32),
        ("height", Float32),
        ("landmarks", list(Float32)),
        ("score", Float32),
        ("reading", DataType::Struct(fields(&reading))),
    ]);
    let place = DataType::Struct(fields(&[("latitude", Float64), ("longitude", Float64), ("accuracy_m", Float32)]));
    let camera = fields(&[
        ("taken_at", Int64),
        ("zone_minutes", Int32),
        ("make", Utf8),
        ("model", Utf8),
        ("software", Utf8),
        ("place", place.clone()),
        ("stated_width", Int64),
        ("stated_height", Int64),
        ("thumbnail_differs", Boolean),
    ]);
    let picture = fields(&[
        ("width", Int32),
        ("height", Int32),
        ("turned", Int32),
        ("composite", Utf8),
        ("camera", DataType::Struct(camera)),
        ("sha256", Binary),
        ("dhash", Int64),
        ("mirrored_dhash", Int64),
        ("miniature", Binary),
        ("thumbnail", Binary),
        ("background", Binary),
        ("faces", list(DataType::Struct(face))),
    ]);
    let picture = DataType::Struct(picture);
    let unread = DataType::Struct(fields(&[("column", Utf8), ("says", Utf8)]));
    let named = [
        (ROW, Int64),
        ("submission_id", Utf8),
        ("worker_id", Utf8),
        ("district", Utf8),
        ("captured_at", Int64),
        ("division", Utf8),
        ("sector", Utf8),
        ("mandalam", Utf8),
        ("booth_id", Utf8),
        ("mobile", Utf8),
        ("epic", Utf8),
        ("member_name", Utf8),
        ("consent", Boolean),
        ("place", place),
        ("device_id", Utf8),
        ("app_version", Utf8),
        ("uploaded_at", Int64),
        ("network", Utf8),
        ("cut", list(Utf8)),
        ("unread", list(unread)),
        ("selfie", picture.clone()),
        ("selfie_reason", Utf8),
        ("selfie_detail", Utf8),
        ("photo", picture),
        ("photo_reason", Utf8),
        ("photo_detail", Utf8),
        ("check", Int64),
    ];
    named.into_iter().map(|(name, data_type)| field(name, data_type)).collect()
}

/// The columns of a table of rows.
pub fn schema() -> SchemaRef {
    let texts = Contract::COLUMNS.into_iter().map(|name| field(name, DataType::Utf8));
    let origin = [field(VERSION, DataType::Int32)].into_iter().chain(texts);
    let origin = origin.chain([field(MEMORY, DataType::Int64), field(DUMP, DataType::Utf8)]);
    Arc::new(Schema::new(origin.chain(row_fields()).collect::<Vec<_>>()))
}

/// Rows of a table.
///
/// # Errors
/// [`Error::Bug`].
pub fn to_batch(origin: &Origin, analyses: &[Analysis]) -> Result<RecordBatch> {
    let bug = |error: &dyn std::fmt::Display| Error::bug("writing what was seen", error);
    let rows = analyses.iter().map(|analysis| Ok(Row { check: check(analysis)?, ..Row::from(analysis) }));
    let rows = rows.collect::<Result<Vec<Row>>>()?;
    let seen = serde_arrow::to_record_batch(&row_fields(), &rows).map_err(|error| bug(&error))?;
    let count = analyses.len();
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; count])) };
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![origin.contract.seen_version; count]))];
    columns.extend(origin.contract.values().map(text));
    columns.push(Arc::new(Int64Array::from(vec![origin.picture_memory; count])));
    columns.push(text(&origin.dump));
    columns.extend(seen.columns().iter().cloned());
    RecordBatch::try_new(schema(), columns).map_err(|error| bug(&error))
}

/// What rows of a table say; the batch has the columns of [`schema`].
///
/// # Errors
/// What is wrong with them, in words.
pub(super) fn from_batch(batch: &RecordBatch) -> Result<Vec<Analysis>, String> {
    let rows: Vec<Row> = serde_arrow::from_record_batch(batch).map_err(|error| error.to_string())?;
    let checked = |row: Row| {
        let (number, written) = (row.row, row.check);
        let analysis = Analysis::try_from(row).map_err(|problem| format!("row {number}: {problem}"))?;
        match check(&analysis).is_ok_and(|check| check == written) {
            true => Ok(analysis),
            false => Err(format!("row {number}: its check does not hold: something in it is not what was written")),
        }
    };
    rows.into_iter().map(checked).collect()
}

/// The first eight bytes of the SHA-256 of everything that a row says, as the spool writes it: whoever stores and moves rows
/// may change nothing in them.
fn check(analysis: &Analysis) -> Result<i64> {
    let bytes = postcard::to_stdvec(analysis).map_err(|e| Error::bug("checking a seen row", e))?;
    let digest = Sha256::digest(bytes);
    Ok(digest.iter().take(8).fold(0, |sum, &byte| sum << 8 | i64::from(byte)))
}

impl From<&Analysis> for Row {
    fn from(analysis: &Analysis) -> Row {
        let facts = analysis.facts.clone();
        let refused = |reject: Option<&Reject>| {
            let reason = reject.map(|reject| reject.reason.code().to_owned());
            (reason, reject.map(|reject| reject.detail.clone()))
        };
        let photo = analysis.photo.as_ref();
        let (selfie_reason, selfie_detail) = refused(analysis.selfie.as_ref().err());
        let (photo_reason, photo_detail) = refused(photo.and_then(|photo| photo.as_ref().err()));
        Row {
            row: analysis.row as i64,
            submission_id: facts.submission_id,
            worker_id: facts.worker_id,
            district: facts.district,
            captured_at: facts.captured_at,
            division: facts.division,
            sector: facts.sector,
            mandalam: facts.mandalam,
            booth_id: facts.booth_id,
            mobile: facts.mobile,
            epic: facts.epic,
            member_name: facts.member_name,
            consent: facts.consent,
            place: facts.place.map(PlaceRow::from),
            device_id: facts.device_id,
            app_version: facts.app_version,
            uploaded_at: facts.uploaded_at,
            network: facts.network,
            cut: facts.cut,
            unread: facts.unread.into_iter().map(|(column, says)| UnreadCell { column, says }).collect(),
            selfie: analysis.selfie.as_ref().ok().map(Picture::from),
            selfie_reason,
            selfie_detail,
            photo: photo.and_then(|photo| photo.as_ref().ok()).map(Picture::from),
            photo_reason,
            photo_detail,
            check: 0,
        }
    }
}

impl TryFrom<Row> for Analysis {
    type Error = &'static str;

    fn try_from(row: Row) -> Result<Analysis, &'static str> {
        let facts = RowFacts {
            submission_id: row.submission_id,
            worker_id: row.worker_id,
            district: row.district,
            captured_at: row.captured_at,
            division: row.division,
            sector: row.sector,
            mandalam: row.mandalam,
            booth_id: row.booth_id,
            mobile: row.mobile,
            epic: row.epic,
            member_name: row.member_name,
            consent: row.consent,
            place: row.place.map(Place::try_from).transpose()?,
            device_id: row.device_id,
            app_version: row.app_version,
            uploaded_at: row.uploaded_at,
            network: row.network,
            cut: row.cut,
            unread: row.unread.into_iter().map(|cell| (cell.column, cell.says)).collect(),
        };
        let selfie = picture_or_reject(row.selfie, row.selfie_reason, row.selfie_detail)?;
        Ok(Analysis {
            row: u64::try_from(row.row).map_err(|_| "a negative row")?,
            facts,
            selfie: selfie.ok_or("neither a selfie nor a reason why there is none")?,
            photo: picture_or_reject(row.photo, row.photo_reason, row.photo_detail)?,
        })
    }
}

type Seen = Result<SeenPhoto, Reject>;

fn picture_or_reject(
    picture: Option<Picture>,
    reason: Option<String>,
    detail: Option<String>,
) -> Result<Option<Seen>, &'static str> {
    match (picture, reason) {
        (Some(picture), None) => Ok(Some(Ok(SeenPhoto::try_from(picture)?))),
        (None, Some(code)) => {
            let reason = Reason::ALL.iter().find(|reason| reason.code() == code).ok_or("an unknown reason")?;
            Ok(Some(Err(Reject::new(*reason, detail.unwrap_or_default()))))
        }
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("a picture and a reason why there is none"),
    }
}

const COMPOSITES: [(Composite, &str); 3] =
    [(Composite::Bars, "bars"), (Composite::BarBetween, "bar_between"), (Composite::Seam, "seam")];

impl From<Place> for PlaceRow {
    fn from(place: Place) -> PlaceRow {
        let Place { latitude, longitude, accuracy_m } = place;
        PlaceRow { latitude, longitude, accuracy_m }
    }
}

impl TryFrom<PlaceRow> for Place {
    type Error = &'static str;

    fn try_from(row: PlaceRow) -> Result<Place, &'static str> {
        let place = Place::new(row.latitude, row.longitude).ok_or("a place that is none")?;
        Ok(Place { accuracy_m: row.accuracy_m, ..place })
    }
}

impl From<&Camera> for CameraRow {
    fn from(camera: &Camera) -> CameraRow {
        let camera = camera.clone();
        CameraRow {
            taken_at: camera.taken_at,
            zone_minutes: camera.zone_minutes.map(i32::from),
            make: camera.make,
            model: camera.model,
            software: camera.software,
            place: camera.place.map(PlaceRow::from),
            stated_width: camera.stated_size.map(|size| size.width.into()),
            stated_height: camera.stated_size.map(|size| size.height.into()),
            thumbnail_differs: camera.thumbnail_differs,
        }
    }
}

impl TryFrom<CameraRow> for Camera {
    type Error = &'static str;

    fn try_from(row: CameraRow) -> Result<Camera, &'static str> {
        let pixels = |side: i64| u32::try_from(side).map_err(|_| "a stated size that is none");
        let stated_size = match (row.stated_width, row.stated_height) {
            (Some(width), Some(height)) => Some(StatedSize { width: pixels(width)?, height: pixels(height)? }),
            _ => None,
        };
        Ok(Camera {
            taken_at: row.taken_at,
            zone_minutes: row.zone_minutes.map(i16::try_from).transpose().map_err(|_| "a zone that is none")?,
            make: row.make,
            model: row.model,
            software: row.software,
            place: row.place.map(Place::try_from).transpose()?,
            stated_size,
            thumbnail_differs: row.thumbnail_differs,
        })
    }
}

impl From<&SeenPhoto> for Picture {
    fn from(photo: &SeenPhoto) -> Picture {
        let composite = photo.composite.and_then(|found| COMPOSITES.iter().find(|(kind, _)| *kind == found));
        Picture {
            width: photo.width as i32,
            height: photo.height as i32,
            turned: photo.turned.into(),
            composite: composite.map(|(_, code)| (*code).to_owned()),
            camera: CameraRow::from(&photo.camera),
            sha256: Bytes(photo.fingerprint.sha256.to_vec()),
            dhash: photo.fingerprint.dhash as i64,
            mirrored_dhash: photo.fingerprint.mirrored_dhash as i64,
            miniature: Bytes(photo.traits.miniature.to_bytes()),
            thumbnail: Bytes(photo.traits.thumbnail.as_bytes().to_vec()),
            background: Bytes(photo.traits.background.to_bytes()),
            faces: photo.faces.iter().map(FaceRow::from).collect(),
        }
    }
}

impl TryFrom<Picture> for SeenPhoto {
    type Error = &'static str;

    fn try_from(picture: Picture) -> Result<SeenPhoto, &'static str> {
        let composite = match picture.composite {
            None => None,
            Some(code) => {
                Some(COMPOSITES.iter().find(|(_, known)| *known == code).ok_or("an unknown kind of composite")?.0)
            }
        };
        let fingerprint = Fingerprint {
            sha256: picture.sha256.0.try_into().map_err(|_| "a sha256 that has not 32 bytes")?,
            dhash: picture.dhash as u64,
            mirrored_dhash: picture.mirrored_dhash as u64,
        };
        let traits = Traits {
            miniature: Miniature::from_bytes(&picture.miniature.0).ok_or("a miniature that has not 128 bytes")?,
            thumbnail: Thumbnail::from_bytes(picture.thumbnail.0).ok_or("a thumbnail that has not 1024 bytes")?,
            background: Background::from_bytes(&picture.background.0).ok_or("a background that has not 1024 bytes")?,
        };
        Ok(SeenPhoto {
            width: u32::try_from(picture.width).map_err(|_| "a negative width")?,
            height: u32::try_from(picture.height).map_err(|_| "a negative height")?,
            turned: u16::try_from(picture.turned).map_err(|_| "a turn that is none")?,
            composite,
            camera: Camera::try_from(picture.camera)?,
            fingerprint,
            traits,
            faces: picture.faces.into_iter().map(SeenFace::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&SeenFace> for FaceRow {
    fn from(face: &SeenFace) -> FaceRow {
        let [left, top, width, height] = face.detection.bbox;
        FaceRow {
            left,
            top,
            width,
            height,
            landmarks: face.detection.landmarks.as_flattened().to_vec(),
            score: face.detection.score,
            reading: face.reading.as_ref().map(ReadingRow::from),
        }
    }
}

impl TryFrom<FaceRow> for SeenFace {
    type Error = &'static str;

    fn try_from(face: FaceRow) -> Result<SeenFace, &'static str> {
        let mut landmarks = [[0.0; 2]; 5];
        if face.landmarks.len() != landmarks.as_flattened().len() {
            return Err("landmarks that are not ten numbers");
        }
        landmarks.as_flattened_mut().copy_from_slice(&face.landmarks);
        let bbox = [face.left, face.top, face.width, face.height];
        let detection = Detection { bbox, landmarks, score: face.score };
        Ok(SeenFace { detection, reading: face.reading.map(Reading::try_from).transpose()? })
    }
}

impl From<&Reading> for ReadingRow {
    fn from(reading: &Reading) -> ReadingRow {
        let Quality { eye_distance, sharpness, brightness, contrast, yaw, pitch, roll, score } = reading.quality;
        ReadingRow {
            eye_distance,
            sharpness,
            brightness,
            contrast,
            yaw,
            pitch,
            roll,
            quality: score,
            live_wide: reading.looks.wide,
            live_close: reading.looks.close,
            live_middle: reading.looks.middle,
            grain: reading.grain,
            template: Bytes(reading.template.master.iter().flat_map(|value| value.to_le_bytes()).collect()),
        }
    }
}

impl TryFrom<ReadingRow> for Reading {
    type Error = &'static str;

    fn try_from(row: ReadingRow) -> Result<Reading, &'static str> {
        let (pairs, rest) = row.template.0.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a template of an odd number of bytes");
        }
        let master = pairs.iter().map(|&pair| f16::from_le_bytes(pair)).collect();
        Ok(Reading {
            quality: Quality {
                eye_distance: row.eye_distance,
                sharpness: row.sharpness,
                brightness: row.brightness,
                contrast: row.contrast,
                yaw: row.yaw,
                pitch: row.pitch,
                roll: row.roll,
                score: row.quality,
            },
            looks: Looks { wide: row.live_wide, close: row.live_close, middle: row.live_middle },
            grain: row.grain,
            template: Template::from_master(master).map_err(|_| "a template that is not normalised")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_camera_come_back_as_they_were() {
        let place = Place { accuracy_m: Some(8.5), ..Place::new(23.18, 75.78).unwrap() };
        let facts = RowFacts {
            place: Some(place),
            device_id: Some("A1".into()),
            app_version: Some("3.1.0".into()),
            uploaded_at: Some(1_795_165_200_000_000),
            network: Some("4g".into()),
            ..RowFacts::default()
        };
        let reject = Reject::new(Reason::UnreadableImage, "no bytes at all");
        let analysis = Analysis { row: 7, facts, selfie: Err(reject), photo: None };
        let rows = serde_arrow::to_record_batch(&row_fields(), &[Row::from(&analysis)]).unwrap();
        let back: Vec<Row> = serde_arrow::from_record_batch(&rows).unwrap();
        assert_eq!(Analysis::try_from(back[0].clone()).unwrap(), analysis);
        let whole = Camera {
            taken_at: Some(1_795_165_200_000_000),
            zone_minutes: Some(-330),
            make: Some("samsung".into()),
            model: Some("SM-M127G".into()),
            software: Some("M127G".into()),
            place: Some(place),
            stated_size: Some(StatedSize { width: u32::MAX, height: 3000 }),
            thumbnail_differs: Some(false),
        };
        for camera in [whole, Camera::default()] {
            assert_eq!(Camera::try_from(CameraRow::from(&camera)).unwrap(), camera);
        }
        let nowhere = PlaceRow { latitude: f64::NAN, longitude: 1.0, accuracy_m: None };
        assert!(Place::try_from(nowhere).is_err());
    }
}
