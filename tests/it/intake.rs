//! What phones and databases write (`fixtures/intake`, `fixtures/jpeg`): read right, or refused by name before any work.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int32Type, Schema};
use chehra::config::Columns;
use chehra::config::policy::PhotoLimits;
use chehra::dump::Dump;
use chehra::photo;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::util::{Place, chehra, fixture, run};

/// Rows of a Parquet file.
fn table(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn write(batch: &RecordBatch, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// The same table with another column of that name.
fn with(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let at = batch.schema().index_of(name).unwrap();
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    fields[at] = Arc::new(Field::new(name, column.data_type().clone(), true));
    columns[at] = column;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Runs an audit; gives what it printed, and of each row id, verdict, reasons and detail.
fn audit(place: &Place, dump: &Path, flags: &[&str]) -> (String, Vec<String>) {
    let out = place.path("run");
    let mut command = chehra();
    command.args(["audit", "--no-report", "--force", "--out"]).arg(&out).arg(dump).args(flags);
    let (code, said, errors) = run(command.current_dir(place.dir.path()));
    assert_eq!(code, 0, "{errors}");
    let rows = table(&out.join("verdicts.parquet"));
    let text = |name: &str| rows.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (ids, verdicts, details) = (text("submission_id"), text("verdict"), text("detail"));
    let reasons = rows.column_by_name("reasons").unwrap().as_list::<i32>().clone();
    let row = |i: usize| {
        let codes = reasons.value(i);
        let codes: Vec<&str> = codes.as_string::<i32>().iter().flatten().collect();
        let or_none = |of: &StringArray| if of.is_valid(i) { of.value(i).to_owned() } else { String::new() };
        format!("{} {} {} [{}]", or_none(&ids), verdicts.value(i), codes.join(","), or_none(&details))
    };
    (said, (0..rows.num_rows()).map(row).collect())
}

/// Runs an audit that must be refused before any work, and gives its words.
fn refused(place: &Place, dump: &Path) -> String {
    let out = place.path("refused");
    let (code, _, errors) = run(chehra().args(["audit", "--out"]).arg(&out).arg(dump).current_dir(place.dir.path()));
    assert_eq!(code, 65, "{errors}");
    assert!(!out.exists());
    errors
}

/// A JPEG decodes as libjpeg decodes it, or it is refused; what libjpeg calls damaged may be refused, and what it reads in
/// silence may not.
#[test]
fn the_family_of_jpegs_decodes_as_libjpeg_decodes_it() {
    // Colour conversion and chroma interpolation round differently by a level or two.
    const MOST: u8 = 4;
    let corpus = table(&fixture("jpeg/corpus.parquet"));
    let text = |name: &str| corpus.column_by_name(name).unwrap().as_string::<i32>().clone();
    let bytes = |name: &str| corpus.column_by_name(name).unwrap().as_binary::<i32>().clone();
    let number = |name: &str| corpus.column_by_name(name).unwrap().as_primitive::<Int32Type>().clone();
    let (families, names, said) = (text("family"), text("name"), text("said"));
    let (files, pixels, widths) = (bytes("jpeg"), bytes("rgb"), number("width"));
    let limits = PhotoLimits { min_side: 1, ..PhotoLimits::default() };
    let (mut equal, mut refused_by_both, mut refused_here, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for row in 0..corpus.num_rows() {
        let name = format!("{}: {}", families.value(row), names.value(row));
        let is_silent = pixels.is_valid(row) && said.value(row).is_empty();
        match photo::decode(files.value(row), &limits) {
            Ok(found) => {
                let far = |(a, b): (&u8, &u8)| a.abs_diff(*b);
                let is_whole = pixels.is_valid(row) && found.rgb.len() == pixels.value(row).len();
                let most =
                    if is_whole { found.rgb.iter().zip(pixels.value(row)).map(far).max().unwrap_or(0) } else { 255 };
                // A picture of one or two columns has no chroma to interpolate.
                let is_thin = widths.value(row) <= 2;
                if most <= MOST || is_thin { equal += 1 } else { wrong.push(format!("{name}: differs by {most}")) }
            }
            Err(_) if !is_silent => refused_by_both += 1,
            Err(reject) => refused_here.push(format!("{name}: {}", reject.detail)),
        }
    }
    eprintln!(
        "{equal} equal, {refused_by_both} refused or called damaged by both, {} refused here",
        refused_here.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    // No phone writes arithmetic coding; what contradicts itself is refused although libjpeg says nothing.
    let is_meant = |name: &str| ["arithmetic", "damaged:", "text before each"].iter().any(|part| name.contains(part));
    refused_here.retain(|name| !is_meant(name));
    assert!(refused_here.is_empty(), "{refused_here:#?}");
    assert!(equal > 600);
}

#[test]
fn pictures_that_came_out_green_or_lying_are_read_right() {
    let decode = |name: &str| photo::decode(&fs::read(fixture("intake").join(name)).unwrap(), &PhotoLimits::default());
    let [junk, padded, parted] = ["f_junk_between.jpg", "f_pad_eoi_zeros16.jpg", "j_noninterleaved.jpg"].map(decode);
    let (junk, padded, parted) = (junk.unwrap(), padded.unwrap(), parted.unwrap());
    assert!([&junk, &padded].iter().all(|photo| photo.width.min(photo.height) > 300));
    let green = parted.rgb.chunks_exact(3).filter(|p| p[1] > 100 && p[0] < 60 && p[2] < 60).count();
    assert!(green * 100 < parted.width * parted.height, "{green} green pixels");
    for turned in ["o_type_long_be.jpg", "w_exif6_prefix.webp"] {
        let photo = decode(turned).unwrap();
        assert!(photo.height > photo.width, "{turned}: {photo:?}");
    }
}

#[test]
fn a_picture_on_its_side_is_turned_and_its_member_found_again() {
    let place = Place::new();
    let (_, rows) = audit(&place, &fixture("intake/or_rot90.parquet"), &[]);
    let lying = rows.iter().find(|row| row.starts_with("VAR ")).unwrap();
    assert!(lying.contains("duplicate_member") && lying.contains("seen turned clockwise by"), "{lying}");
    assert!(!rows.iter().any(|row| !row.starts_with("VAR ") && row.contains("turned")), "{rows:#?}");
}

#[test]
fn times_are_read_in_one_way_or_refused_quoting_a_value() {
    let place = Place::new();
    let (_, rows) = audit(&place, &fixture("intake/str_ist.parquet"), &[]);
    assert!(!rows.iter().any(|row| row.contains("required_field_missing")), "{rows:#?}");
    let base = table(&fixture("intake/row_null_district.parquet"));
    let dump = place.path("times.parquet");
    let first_times = |values: &[&str], toml: &str| {
        write(&with(&base, "captured_at", texts(values)), &dump);
        fs::write(place.path("chehra.toml"), toml).unwrap();
        let file = place.path("chehra.toml");
        let columns: Columns = toml::from_str(toml.split("[columns]").nth(1).unwrap_or_default()).unwrap();
        let _ = file;
        Dump::open(&[&dump], &columns).map(|dump| {
            let rows: Vec<_> = dump.batches(9, usize::MAX, 0).flat_map(|batch| batch.unwrap()).collect();
            rows.iter().map(|row| row.facts.captured_at.map(|at| at / 1_000_000)).collect::<Vec<_>>()
        })
    };
    let five = |day: &str| [day; 5].map(str::to_owned);
    let as_texts = |values: &[String; 5]| values.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
    let values = as_texts(&five("05/11/2026 09:00"));
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let error = first_times(&values, "").unwrap_err().to_string();
    assert!(error.contains("`05/11/2026 09:00`") && error.contains("captured_at_format"), "{error}");
    let mut told = values.clone();
    told[3] = "25/11/2026 09:00";
    assert_eq!(first_times(&told, "").unwrap()[0], Some(1_793_869_200));
    let format = "[columns]\ncaptured_at_format = \"%m/%d/%Y %H:%M\"\n";
    assert_eq!(first_times(&values, format).unwrap()[0], Some(1_778_490_000));
    let zone = "[columns]\ntime_zone = \"Asia/Kolkata\"\n";
    assert_eq!(first_times(&told, zone).unwrap()[0], Some(1_793_869_200 - 19_800));
    // One bad cell is that row's trouble, and its detail is true.
    told[4] = "yesterday";
    assert_eq!(first_times(&told, "").unwrap()[4], None);
    fs::remove_file(place.path("chehra.toml")).unwrap();
    let (_, rows) = audit(&place, &dump, &[]);
    assert!(rows[4].contains("captured_at `yesterday` is no time that can be read"), "{}", rows[4]);
    write(&with(&base, "captured_at", texts(&["soon"; 5])), &dump);
    let error = refused(&place, &dump);
    assert!(error.contains("`soon` in row 0") && error.contains("captured_at_format"), "{error}");
    // Files with and without a zone.
    write(&base, &place.path("mixed/a.parquet"));
    write(&with(&base, "captured_at", texts(&["2026-11-20 09:00:00"; 5])), &place.path("mixed/b.parquet"));
    let error = refused(&place, &place.path("mixed"));
    assert!(error.contains("b.parquet") && error.contains("time_zone"), "{error}");
    fs::write(place.path("chehra.toml"), "time_zone = \"Asia/Kolkata\"\n").unwrap();
    audit(&place, &place.path("mixed"), &[]);
}

#[test]
fn a_row_that_lacks_a_key_is_compared_all_the_same() {
    let place = Place::new();
    let base = table(&fixture("intake/row_null_district.parquet"));
    let dump = place.path("d.parquet");
    let mate = |rows: &[String]| rows[4].clone();
    let (_, rows) = audit(&place, &fixture("intake/row_null_district.parquet"), &[]);
    assert!(mate(&rows).contains("duplicate_member") && mate(&rows).contains("no value in district"), "{rows:#?}");
    let whole = with(&base, "district", texts(&["Pune", "Pune ", "Pune\u{a0}", "PUNE", "pune"]));
    for name in ["submission_id", "worker_id"] {
        let column = whole.column_by_name(name).unwrap().as_string::<i32>().clone();
        let blank: StringArray = (0..5).map(|i| (i != 4).then(|| column.value(i))).collect();
        write(&with(&whole, name, Arc::new(blank)), &dump);
        let (_, rows) = audit(&place, &dump, &[]);
        assert!(mate(&rows).contains("duplicate_member"), "{name}: {}", mate(&rows));
    }
    write(&whole, &dump);
    audit(&place, &dump, &[]);
    let verdicts = table(&place.path("run/verdicts.parquet"));
    let cross = verdicts.column_by_name("cross_district").unwrap().as_boolean().clone();
    assert!(cross.iter().flatten().count() > 0 && !cross.iter().flatten().any(|cross| cross), "one district");
    let first = base.column_by_name("captured_at").unwrap();
    let mut early: Vec<Option<i64>> =
        first.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().iter().collect();
    early[4] = Some(0);
    let early = arrow::array::TimestampMicrosecondArray::from(early).with_timezone("UTC");
    write(&with(&whole, "captured_at", Arc::new(early)), &dump);
    let (_, rows) = audit(&place, &dump, &[]);
    assert!(mate(&rows).contains("duplicate_member"), "1970 is no original: {}", mate(&rows));
}

#[test]
fn a_lakehouse_table_is_refused_and_its_live_files_are_read() {
    let place = Place::new();
    let delta = fixture("intake/delta");
    let error = refused(&place, &delta);
    assert!(error.contains("a Delta table") && error.contains("delta_scan") && error.contains("--files"), "{error}");
    assert!(refused(&place, &delta.join("*.parquet")).contains("a Delta table"));
    let live = fs::read_dir(&delta).unwrap().map(|entry| entry.unwrap().path());
    let live = live.filter(|path| path.extension().is_some_and(|e| e == "parquet")).min().unwrap();
    let list = place.path("live.txt");
    fs::write(&list, format!("# live\nfile://{}\n", live.display())).unwrap();
    let out = place.path("listed");
    let (code, _, errors) = run(chehra().args(["audit", "-q", "--files"]).arg(&list).arg("--out").arg(&out));
    assert_eq!(code, 0, "{errors}");
    fs::write(&list, "s3://bucket/part-0.parquet\n").unwrap();
    let (code, _, errors) = run(chehra().args(["audit", "-q", "--files"]).arg(&list).arg("--out").arg(&out));
    assert!(code == 65 && errors.contains("line 1"), "{errors}");
}

#[test]
fn ids_of_other_types_are_read_and_whole_columns_that_fail_are_named() {
    let place = Place::new();
    let (_, rows) = audit(&place, &fixture("intake/uuid.parquet"), &[]);
    assert!(rows.iter().all(|row| row.split(' ').next().is_some_and(|id| id.len() == 36)), "{rows:#?}");
    let base = table(&fixture("intake/row_null_district.parquet"));
    let dump = place.path("d.parquet");
    write(&with(&base, "consent", texts(&["on"; 5])), &dump);
    let (said, rows) = audit(&place, &dump, &[]);
    assert!(said.starts_with("warning: consent is neither yes nor no in 5 of 5 rows, as `on`"), "{said}");
    assert!(rows[0].contains("consent `on` is neither yes nor no"), "{}", rows[0]);
    write(&with(&base, "selfie", texts(&["/storage/emulated/0/DCIM/IMG_1.jpg"; 5])), &dump);
    let (said, _) = audit(&place, &dump, &[]);
    assert!(said.contains("warning: selfie is unreadable in 5 of 5 rows: the path of a file"), "{said}");
    // The same bytes twice, and one column in two widths.
    write(&base, &place.path("twice/a.parquet"));
    fs::copy(place.path("twice/a.parquet"), place.path("twice/b.parquet")).unwrap();
    assert_eq!(audit(&place, &place.path("twice"), &[]).1.len(), 5);
}

#[test]
fn collages_screenshots_and_pictures_of_other_kinds_are_named() {
    use image::{ImageEncoder, RgbImage, imageops};
    let place = Place::new();
    let portrait = |name: &str| {
        let open = image::open(fixture("faces").join(name)).unwrap().into_rgb8();
        imageops::resize(&open, 400, 500, imageops::FilterType::Triangle)
    };
    let jpeg = |picture: &RgbImage| {
        let mut bytes = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 85);
        encoder.write_image(picture, picture.width(), picture.height(), image::ExtendedColorType::Rgb8).unwrap();
        bytes
    };
    let [left, right] = ["ardern_2018.jpg", "macron_2014.jpg"].map(portrait);
    let mut collage = RgbImage::new(800, 500);
    imageops::replace(&mut collage, &left, 0, 0);
    imageops::replace(&mut collage, &right, 400, 0);
    let mut parted = RgbImage::from_pixel(812, 500, image::Rgb([255; 3]));
    imageops::replace(&mut parted, &left, 0, 0);
    imageops::replace(&mut parted, &right, 412, 0);
    let mut screenshot = RgbImage::new(400, 900);
    imageops::replace(&mut screenshot, &left, 0, 200);
    let base = table(&fixture("intake/row_null_district.parquet"));
    let honest = base.column_by_name("selfie").unwrap().as_binary::<i32>().value(0).to_vec();
    let heic = [&[0, 0, 0, 24][..], b"ftypheic", &[0; 200]].concat();
    let selfies = [jpeg(&collage), jpeg(&parted), jpeg(&screenshot), heic, honest];
    let column = BinaryArray::from_iter_values(selfies);
    let dump = place.path("d.parquet");
    write(&with(&base, "selfie", Arc::new(column)), &dump);
    let out = place.path("with-page");
    let (code, said, errors) =
        run(chehra().args(["audit", "--out"]).arg(&out).arg(&dump).current_dir(place.dir.path()));
    assert_eq!(code, 0, "{errors}");
    let warning = "1 of 5 selfies are HEIC or AVIF pictures";
    assert!(said.contains(warning) && said.contains("examples/heic_to_jpeg.py"), "{said}");
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains(warning));
    let (_, rows) = audit(&place, &dump, &[]);
    for (row, expected) in rows.iter().zip(["a straight seam", "a bar of one colour between", "bars of one colour at"])
    {
        assert!(row.contains("composite_suspected") && row.contains(expected), "{row}");
    }
    assert!(rows[3].contains("unreadable_image") && rows[3].contains("a HEIC picture: set the phone"), "{}", rows[3]);
    assert!(!rows[4].contains("composite_suspected"), "{}", rows[4]);
}
