//! Files made to stop a night, and files that only look like dumps.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;

use super::{audit, refused};
use crate::util::{Place, batches, chehra, fixture, run};

/// A Parquet file that is all footer: `depth` groups in each other, with one column of numbers in the innermost.
fn write_nested(path: &Path, depth: usize) {
    let varint = |mut number: usize| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    // FileMetaData in Thrift's compact protocol: version 1, then the list of depth + 2 schema elements.
    let mut footer = [&[0x15, 2, 0x19, 0xfc][..], &varint(depth + 2), &[0x48, 1, b'r', 0x15, 2, 0]].concat();
    for _ in 0..depth {
        footer.extend([0x35, 2, 0x18, 1, b'g', 0x15, 2, 0]);
    }
    // The column, no rows, no row groups.
    footer.extend([0x15, 2, 0x25, 2, 0x18, 1, b'x', 0, 0x16, 0, 0x19, 0x0c, 0]);
    let length = (footer.len() as u32).to_le_bytes();
    fs::write(path, [b"PAR1", &footer[..], &length, b"PAR1"].concat()).unwrap();
}

#[test]
fn a_schema_nested_without_end_is_refused_by_every_reader() {
    let place = Place::new();
    let (run_folder, store) = (place.path("run"), place.path("store"));
    let mut night = audit(&run_folder);
    assert_eq!(run(night.arg("--store").arg(&store)).0, 0);
    let nested = place.path("nested.parquet");
    for depth in [70, 1_600, 8_000, 200_000] {
        write_nested(&nested, depth);
        let words = ["nested.parquet", "64 deep"];
        let mut import = chehra();
        import.args(["gallery", "import", "--store"]).arg(&store).arg("--from").arg(&nested);
        refused(&mut import, 65, &words);
        let mut dump = chehra();
        refused(dump.args(["audit", "-q", "--out"]).arg(place.path("out")).arg(&nested), 65, &words);
        for table in ["--workers", "--booths"] {
            refused(audit(&place.path("out")).arg(table).arg(&nested), 65, &words);
        }
        refused(chehra().arg("dedup").arg(&nested), 65, &words);
        let mut templates = chehra();
        refused(templates.args(["evaluate", "dedup", "--templates"]).arg(&nested), 65, &words);
        for (table, reader) in
            [("verdicts", "report"), ("clusters", "report"), ("pairs", "review"), ("verdicts", "dedup")]
        {
            let path = run_folder.join(format!("{table}.parquet"));
            let whole = fs::read(&path).unwrap();
            fs::copy(&nested, &path).unwrap();
            let mut command = chehra();
            command.arg(reader).arg(&run_folder);
            refused(&mut command, 65, &[table, "64 deep"]);
            if table == "verdicts" {
                let mut evaluate = chehra();
                evaluate.args(["evaluate", "audit", "--run"]).arg(&run_folder);
                refused(evaluate.arg("--truth").arg(fixture("night2")), 65, &[table, "64 deep"]);
            }
            fs::write(&path, whole).unwrap();
        }
    }
    assert!(!place.path("out").exists());
}

/// A PyTorch file with this pickle.
fn write_torch(path: &Path, pickle: &[u8]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", stored).unwrap();
    archive.write_all(pickle).unwrap();
    archive.finish().unwrap();
}

#[test]
fn a_pickle_that_would_overflow_or_fill_the_memory_is_refused() {
    let place = Place::new();
    let file = place.path("net.pt");
    let nested = [&b"\x80\x02K\x01"[..], &vec![0x85; 3_000_000], b"."].concat();
    let copies = [&b"\x80\x02K\x01"[..], &b"q\x00h\x00\x86".repeat(60), b"."].concat();
    // A table with a tensor that lacks what it is made of.
    let call = b"ctorch._utils\n_rebuild_tensor_v2\n)R".as_slice();
    let short = [&b"\x80\x02}X\x01\x00\x00\x00a"[..], call, b"s."].concat();
    for (pickle, word) in [(&nested, "deep"), (&copies, "things"), (&short, "a tensor without")] {
        write_torch(&file, pickle);
        let mut add = chehra();
        add.args(["weights", "add", "--name", "x", "--into"]).arg(place.path("into")).arg(&file);
        refused(&mut add, 65, &["net.pt", word]);
    }
    assert_eq!(place.list(), ["net.pt"]);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_of_a_dump_is_refused_before_any_work() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let place = Place::new();
    let folder = place.path("dump");
    fs::create_dir(&folder).unwrap();
    fs::copy(fixture("night2/submissions-0.parquet"), folder.join("a.parquet")).unwrap();
    let try_it = |input: &Path, words: &[&str]| {
        let mut command = chehra();
        command.args(["audit", "-q", "--store"]).arg(place.path("store")).arg("--out").arg(place.path("out"));
        refused(command.arg(input), 65, words);
        assert!(!place.path("out").exists() && !place.path("store").exists());
    };
    let pipe = folder.join("b.parquet");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    try_it(&pipe, &["b.parquet", "a pipe (FIFO)"]);
    try_it(&folder, &["b.parquet", "a pipe (FIFO)"]);
    for table in ["--workers", "--booths", "--decisions"] {
        refused(audit(&place.path("out")).arg(table).arg(&pipe), 65, &["a pipe (FIFO)"]);
    }
    fs::remove_file(&pipe).unwrap();
    try_it(Path::new("/dev/null"), &["a device"]);
    symlink(place.path("gone.parquet"), folder.join("c.parquet")).unwrap();
    try_it(&folder, &["c.parquet", "a link to nothing"]);
    fs::remove_file(folder.join("c.parquet")).unwrap();
    // Names in other bytes than UTF-8, found or typed: the record of the run could not name them.
    let odd = folder.join(OsStr::from_bytes(b"d\xff.parquet"));
    fs::copy(folder.join("a.parquet"), &odd).unwrap();
    try_it(&folder, &["UTF-8"]);
    try_it(&odd, &["UTF-8"]);
    fs::remove_file(&odd).unwrap();
    refused(&mut audit(&place.path("x").join(OsStr::from_bytes(b"\xff"))), 65, &["UTF-8"]);
    try_it(&fixture("broken/encrypted-column.parquet"), &["column `selfie`", "an encrypted one"]);
    let mut report = chehra();
    let carried = report.args(["audit", "-q", "--carry", "selfie2", "--out"]).arg(place.path("out"));
    assert_eq!(run(carried.arg(&folder)).0, 64);
}

/// Rows of a dump: id, name and selfie.
fn write_dump(path: &Path, rows: &[(String, String, Vec<u8>)]) {
    let texts = |get: fn(&(String, String, Vec<u8>)) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
    };
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows.len()])) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("submission_id", texts(|row| &row.0)),
        ("worker_id", same("W-1")),
        ("district", same("Ujjain")),
        ("captured_at", Arc::new(TimestampMicrosecondArray::from(vec![1_790_000_000_000_000; rows.len()]))),
        ("member_name", texts(|row| &row.1)),
        ("selfie", Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.2)))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, a)| a).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Selfies of the sample nights, as encoded.
fn selfies(count: usize) -> Vec<Vec<u8>> {
    let dump = chehra::dump::Dump::open(&[fixture("night")], &chehra::config::Columns::default()).unwrap();
    let rows = dump.batches(64, usize::MAX, 0).flat_map(|batch| batch.unwrap());
    let mut found: Vec<Vec<u8>> = rows.filter_map(|row| row.selfie.map(|selfie| selfie.to_vec())).collect();
    found.retain(|bytes| bytes.len() > 10_000);
    (0..count).map(|at| found[at % found.len()].clone()).collect()
}

/// A row of the verdict table.
#[derive(Debug, PartialEq)]
struct Row {
    id: String,
    reasons: Vec<String>,
    detail: String,
}

fn verdicts(out: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches(&out.join("verdicts.parquet")) {
        let (ids, lists) = (batch["submission_id"].as_string::<i32>(), batch["reasons"].as_list::<i32>());
        let details = batch["detail"].as_string::<i32>();
        for row in 0..batch.num_rows() {
            let reasons = lists.value(row);
            let reasons = reasons.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            let detail = if details.is_valid(row) { details.value(row).to_owned() } else { String::new() };
            rows.push(Row { id: ids.value(row).to_owned(), reasons, detail });
        }
    }
    rows
}

/// Nine million letters in two rows once kept an audit busy without end.
#[test]
fn texts_are_cut_and_the_row_says_so() {
    let place = Place::new();
    let (dump, out) = (place.path("dump.parquet"), place.path("out"));
    let long = |letter: &str, count: usize| letter.repeat(count);
    let pictures = selfies(6);
    let rows = [
        ("S-1".to_owned(), format!("Ram {}", long("a", 9_000_000))),
        ("S-2".to_owned(), format!("Ram {}", long("ab ", 3_000_000))),
        (format!("{}1", long("S", 5_000)), "Sita Devi".to_owned()),
        (format!("{}2", long("S", 5_000)), "x".repeat(256)),
        ("S-5".to_owned(), long("\u{0915}", 257)),
        ("S-6".to_owned(), long("\u{0915}", 256)),
    ];
    let rows: Vec<(String, String, Vec<u8>)> =
        rows.into_iter().zip(pictures).map(|((id, name), picture)| (id, name, picture)).collect();
    write_dump(&dump, &rows);
    let (code, _, stderr) = run(chehra().args(["audit", "-q", "--out"]).arg(&out).arg(&dump));
    assert_eq!(code, 0, "{stderr}");
    let found = verdicts(&out);
    let cut: Vec<bool> = found.iter().map(|row| row.reasons.iter().any(|reason| reason == "text_too_long")).collect();
    assert_eq!(cut, [true, true, true, true, true, false], "{found:?}");
    let long_ids: Vec<&str> = found[2..4].iter().map(|row| row.id.as_str()).collect();
    assert!(long_ids.iter().all(|id| id.chars().count() == 256) && long_ids[0] != long_ids[1], "{long_ids:?}");
    assert!(!found.iter().any(|row| row.reasons.iter().any(|reason| reason == "submission_id_repeated")));
    let details: Vec<&str> = found.iter().map(|row| row.detail.as_str()).collect();
    assert!(details[0].contains("member_name") && details[2].contains("submission_id"), "{details:?}");
}

/// A flat grey progressive JPEG: one scan of the averages, one of the brightness's other coefficients, all of them zero.
fn progressive(width: u16, height: u16) -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        let length = (payload.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], &length[..], payload].concat()
    };
    // One code of one bit, "0", for the value 0: no difference; end of block.
    let table = |kind: u8| [&[kind, 1][..], &[0; 15], &[0]].concat();
    let (columns, rows) = (usize::from(width).div_ceil(16), usize::from(height).div_ceil(16));
    let zeros = |bits: usize| {
        let mut bytes = vec![0u8; bits / 8];
        if !bits.is_multiple_of(8) {
            bytes.push(0xff >> (bits % 8));
        }
        bytes
    };
    let [h, w] = [height, width].map(u16::to_be_bytes);
    let brightness = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(0xc2, &[8, h[0], h[1], w[0], w[1], 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]),
        segment(0xc4, &table(0x00)),
        segment(0xc4, &table(0x10)),
        segment(0xda, &[3, 1, 0x00, 2, 0x00, 3, 0x00, 0, 0, 0]),
        zeros(columns * rows * 6),
        segment(0xda, &[1, 1, 0x00, 1, 63, 0]),
        zeros(brightness),
        vec![0xff, 0xd9],
    ]
    .concat()
}

/// Twelve progressive pictures of fifty megapixels among ordinary ones, on four threads in 1.5 GiB.
#[test]
#[cfg(target_os = "linux")]
fn large_pictures_wait_for_room() {
    let place = Place::new();
    let dump = place.path("dump.parquet");
    let large = progressive(8000, 6250);
    let rows: Vec<(String, String, Vec<u8>)> = selfies(28)
        .into_iter()
        .enumerate()
        .map(|(at, picture)| {
            (format!("S-{at}"), "Ram".to_owned(), if at % 2 == 0 && at < 24 { large.clone() } else { picture })
        })
        .collect();
    write_dump(&dump, &rows);
    let audit = |limit: &str, threads: &str, out: &str| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{limit} exec \"$@\"")).arg("sh").arg(chehra().get_program());
        command.args(["audit", "--threads", threads, "--no-report", "--out"]).arg(place.path(out)).arg(&dump);
        run(&mut command)
    };
    let (code, _, stderr) = audit("", "4", "free");
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = audit("ulimit -v 1572864;", "4", "tight");
    assert_eq!(code, 0, "{stderr}");
    let free = verdicts(&place.path("free"));
    assert_eq!(verdicts(&place.path("tight")), free, "who waits sees the same");
    let is_too_large = |row: &Row| row.reasons.contains(&"image_too_large".to_owned());
    assert!(!free.iter().any(is_too_large));
    let record = fs::read_to_string(place.path("tight/run.json")).unwrap();
    assert!(record.contains("\"ulimit -v\""), "{record}");
    // Where there never will be room it is a row with its reason, and the log says whose limit it is.
    let (code, _, stderr) = audit("ulimit -v 560000;", "2", "never");
    assert!(code == 0 && stderr.contains("ulimit -v"), "{stderr}");
    let never = verdicts(&place.path("never"));
    let large: Vec<bool> = (0..28).map(|at| at % 2 == 0 && at < 24).collect();
    assert_eq!(never.iter().map(is_too_large).collect::<Vec<_>>(), large);
}

/// A colour profile of 300 MB in a few hundred kilobytes: it says nothing of the pixels, so it is never unfolded.
#[test]
#[cfg(target_os = "linux")]
fn what_makes_no_pixels_is_not_unfolded() {
    let place = Place::new();
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(64, 64);
    (info.color_type, info.bit_depth) = (png::ColorType::Grayscale, png::BitDepth::Eight);
    info.icc_profile = Some(vec![0; 300 << 20].into());
    let mut writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
    writer.write_image_data(&[128; 64 * 64]).unwrap();
    writer.finish().unwrap();
    assert!(bytes.len() < 2 << 20, "{}", bytes.len());
    let limits = chehra::config::policy::PhotoLimits::default();
    assert_eq!(chehra::photo::decode(&bytes, &limits).unwrap().rgb, [128; 3 * 64 * 64]);
    let dump = place.path("dump.parquet");
    write_dump(&dump, &[("S-1".to_owned(), "Ram".to_owned(), bytes)]);
    let mut command = Command::new("sh");
    command.arg("-c").arg("ulimit -v 560000; exec \"$@\"").arg("sh").arg(chehra().get_program());
    command.args(["audit", "--threads", "2", "--no-report", "--out"]).arg(place.path("out")).arg(&dump);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(verdicts(&place.path("out"))[0].reasons, ["no_face"]);
}

/// Names that would clear the screen, forge a line or turn what follows.
#[test]
fn names_move_nothing_on_a_terminal() {
    let place = Place::new();
    let (dump, store) = (place.path("dump.parquet"), place.path("store"));
    let name = "Ram\u{1b}[2J\u{7}\u{202e}\n[ERROR chehra] the store is gone";
    let pictures = selfies(2);
    let rows: Vec<_> =
        (0..4).map(|at| (format!("S{at}\u{1b}]0;x"), name.to_owned(), pictures[at % 2].clone())).collect();
    write_dump(&dump, &rows);
    let mut audit = chehra();
    audit.args(["audit", "-v", "--no-report", "--out"]).arg(place.path("out")).arg("--store").arg(&store).arg(&dump);
    let (code, stdout, stderr) = run(&mut audit);
    assert_eq!(code, 0, "{stderr}");
    let photo = place.path("photo.jpg");
    fs::write(&photo, &pictures[0]).unwrap();
    let (code, found, said) = run(chehra().args(["search", "-v", "--store"]).arg(&store).arg(&photo));
    assert_eq!(code, 0, "{said}");
    let (code, pairs, told) = run(chehra().args(["dedup", "-v"]).arg(&dump));
    assert_eq!(code, 0, "{told}");
    assert!(found.contains("Ram\\u{1b}[2J"), "{found}");
    let is_unseen = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
    for text in [stdout, stderr, found, said, pairs, told] {
        assert!(!text.contains(is_unseen) && !text.contains("\n[ERROR"), "{text:?}");
    }
}

/// A column of pictures as it stands in a file, made without its cells in memory: each page has some cells, `Err` for one of
/// so many zeros.
#[cfg(target_os = "linux")]
fn packed_selfies(pages: &[Vec<Result<Vec<u8>, u64>>]) -> Vec<u8> {
    let number = |value: u64| {
        let mut value = value << 1;
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let mut column = Vec::new();
    for cells in pages {
        let mut packed = zstd::Encoder::new(Vec::<u8>::new(), 3).unwrap();
        let mut size = 0;
        for cell in cells {
            let length = cell.as_ref().map_or_else(|&zeros| zeros, |bytes| bytes.len() as u64);
            packed.write_all(&(length as u32).to_le_bytes()).unwrap();
            match cell {
                Ok(bytes) => packed.write_all(bytes).unwrap(),
                Err(zeros) => drop(std::io::copy(&mut std::io::repeat(0).take(*zeros), &mut packed).unwrap()),
            }
            size += 4 + length;
        }
        let packed = packed.finish().unwrap();
        // PageHeader: DATA_PAGE, sizes; of the page its values, PLAIN, and levels of run lengths.
        column.extend([&[0x15, 0, 0x15][..], &number(size), &[0x15], &number(packed.len() as u64)].concat());
        column.extend([&[0x2c, 0x15][..], &number(cells.len() as u64), &[0x15, 0, 0x15, 6, 0x15, 6, 0, 0]].concat());
        column.extend(packed);
    }
    column
}

/// Rows of a dump with such a column of selfies.
#[cfg(target_os = "linux")]
fn write_packed(path: &Path, pages: &[Vec<Result<Vec<u8>, u64>>]) {
    use parquet::basic::{Compression, Encoding, ZstdLevel};
    use parquet::column::writer::ColumnCloseResult;
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    let text = "required binary NAME (STRING);";
    let texts = ["submission_id", "worker_id", "district", "captured_at"];
    let columns: String = texts.iter().map(|name| text.replace("NAME", name)).collect();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {columns} required binary selfie; }}")).unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema.clone(), Default::default()).unwrap();
    let rows = pages.iter().map(Vec::len).sum::<usize>();
    let mut group = writer.next_row_group().unwrap();
    for name in texts {
        let cell = |row: usize| match name {
            "submission_id" => format!("S-{row}"),
            "captured_at" => "2026-11-20T10:00:00Z".to_owned(),
            other => other.to_owned(),
        };
        let cells: Vec<ByteArray> = (0..rows).map(|row| cell(row).into_bytes().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&cells, None, None).unwrap();
        column.close().unwrap();
    }
    let column = path.with_extension("column");
    fs::write(&column, packed_selfies(pages)).unwrap();
    let bytes = fs::metadata(&column).unwrap().len();
    let size = pages.iter().flatten().map(|cell| cell.as_ref().map_or_else(|&zeros| zeros, |c| c.len() as u64) + 4);
    let metadata = ColumnChunkMetaData::builder(SchemaDescriptor::new(schema).column(texts.len()))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_encodings(vec![Encoding::PLAIN])
        .set_num_values(rows as i64)
        .set_total_compressed_size(bytes as i64)
        .set_total_uncompressed_size(size.sum::<u64>() as i64)
        .set_data_page_offset(0)
        .build()
        .unwrap();
    let close = ColumnCloseResult {
        bytes_written: bytes,
        rows_written: rows as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: None,
    };
    group.append_column(&File::open(&column).unwrap(), close).unwrap();
    fs::remove_file(column).unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Selfies of a gigabyte and more in a file of a few hundred kilobytes, alone in their pages and among others: their rows have
/// a reason, the others are judged, and none of it was ever in memory.
#[test]
#[cfg(target_os = "linux")]
fn a_selfie_of_gigabytes_is_a_row_with_a_reason() {
    let place = Place::new();
    let pictures = selfies(4);
    let whole = |at: usize| Ok(pictures[at].clone());
    let one = vec![vec![whole(0), Err(1_500_000_000), whole(1)], vec![whole(2)]];
    let five = std::iter::once(vec![whole(3)]).chain((0..5).map(|_| vec![Err(1_000_000_000)])).chain([vec![whole(0)]]);
    // The footer says that cells are small on the average, and a page has many that are almost too large.
    let many = vec![(0..300).map(|_| Err(10)).collect(), (0..12).map(|_| Err(5_000_000)).collect(), vec![whole(1)]];
    for (name, pages) in [("one", one), ("five", five.collect::<Vec<_>>()), ("many", many)] {
        let (dump, out) = (place.path(&format!("{name}.parquet")), place.path(name));
        write_packed(&dump, &pages);
        assert!(fs::metadata(&dump).unwrap().len() < 1 << 20);
        let mut command = Command::new("sh");
        command.arg("-c").arg("ulimit -v 700000; exec \"$@\"").arg("sh").arg(chehra().get_program());
        command.args(["audit", "--threads", "2", "--out"]).arg(&out).arg(&dump);
        let (code, _, stderr) = run(&mut command);
        assert_eq!(code, 0, "{name}: {stderr}");
        let cells: Vec<_> = pages.iter().flatten().collect();
        let found = verdicts(&out);
        assert_eq!(found.len(), cells.len());
        for (row, cell) in found.iter().zip(cells) {
            let is_too_large = row.reasons == ["image_too_large"];
            match cell {
                Err(bytes) if *bytes > 32 << 20 => {
                    assert!(is_too_large && row.detail.contains(&bytes.to_string()), "{name}: {row:?}");
                }
                Err(_) => assert_eq!(row.reasons, ["unreadable_image"], "{name}"),
                Ok(_) => {
                    assert!(!is_too_large && !row.reasons.iter().any(|r| r == "unreadable_image"), "{name}: {row:?}")
                }
            }
        }
    }
}

/// A file of six gigabytes, or one that unpacks to them, is refused by its size.
#[test]
#[cfg(unix)]
fn networks_are_refused_by_their_size() {
    let place = Place::new();
    let add = |file: &Path, words: &[&str]| {
        let mut command = Command::new("sh");
        command.arg("-c").arg("ulimit -v 700000; exec \"$@\"").arg("sh").arg(chehra().get_program());
        command.args(["weights", "add", "--name", "x", "--into"]).arg(place.path("into")).arg(file);
        refused(&mut command, 65, words);
        assert!(!place.path("into").exists());
    };
    for ending in ["onnx", "pt", "pth", "ckpt", "safetensors"] {
        let name = format!("net.{ending}");
        let file = place.path(&name);
        // Nothing but a hole: no disk is filled.
        File::create(&file).unwrap().set_len(6 << 30).unwrap();
        add(&file, &[&name, "size of the network", "6442450944 bytes", "at most 2147483648"]);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        add(&file, &[&name, "a folder"]);
    }
    let zipped = place.path("zipped.pth");
    let mut archive = zip::ZipWriter::new(File::create(&zipped).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", options).unwrap();
    archive.write_all(b"\x80\x02}.").unwrap();
    archive.finish().unwrap();
    // What the directory of the archive says of the size of an entry.
    let mut bytes = fs::read(&zipped).unwrap();
    let entry = bytes.windows(4).position(|word| word == b"PK\x01\x02").unwrap();
    bytes[entry + 24..entry + 28].copy_from_slice(&0xf000_0000u32.to_le_bytes());
    fs::write(&zipped, bytes).unwrap();
    add(&zipped, &["zipped.pth", "when unpacked", "4026531840 bytes"]);
}
