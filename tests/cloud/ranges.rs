//! Of a file only what is needed is read.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::done;
use crate::server::{Proxy, Server, at_port};
use crate::util::{Place, batches, fixture};

/// Bytes that no compression makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

pub fn columns_and_row_groups_that_are_not_needed_are_not_fetched() {
    let (server, place) = (Server::shared(), Place::new());
    server.bucket("ranges");
    // The second of two row groups is wanted, and of it all but a column of 4 MB.
    let file = place.path("dump.parquet");
    let rows = batches(&fixture("night/submissions-0.parquet")).remove(0);
    let size = 200_000;
    let extra: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..rows.num_rows()).map(|_| noise(size))));
    let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    fields.insert(1, Arc::new(Field::new("app_log", DataType::Binary, false)));
    let mut columns = rows.columns().to_vec();
    columns.insert(1, extra);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let half = rows.num_rows() / 2;
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(half)).set_dictionary_enabled(false);
    let mut writer =
        ArrowWriter::try_new(File::create(&file).unwrap(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch.slice(0, 2 * half)).unwrap();
    let written = writer.close().unwrap();
    let groups: Vec<u64> = written.row_groups().iter().map(|group| group.compressed_size() as u64).collect();
    let (group, unwanted) = (groups[1], (size * half) as u64);
    assert_eq!(groups.len(), 2);
    let bytes = std::fs::read(&file).unwrap();
    server.put("ranges/dump.parquet", &bytes);

    let proxy = Proxy::new(server, 0, u64::MAX);
    let see = |part: &str| {
        let mut command = at_port(proxy.port, &place);
        command.args(["-q", "see", "s3://ranges/dump.parquet", "--part", part, "--out"]).arg(place.path("seen"));
        done(&mut command);
    };
    see("2/2");
    let fetched = proxy.answered();
    let needed = group - unwanted;
    // Beside it the beginning and the end of the file, first pages of columns with what lies close to them; not the column of 4 MB,
    // nor the row group before.
    let most = needed + (700 << 10);
    assert!(
        fetched >= needed && fetched < most,
        "{fetched} bytes were fetched of {}; needed are {needed}",
        bytes.len()
    );
    assert!(most < bytes.len() as u64 / 2, "the test says something");

    // The first part hashes the file, which reads it whole, once. Seeing it fetches some of what lies close to the wanted
    // columns besides, and not the unwanted column.
    let before = proxy.answered();
    see("1/2");
    let fetched = proxy.answered() - before;
    let most = bytes.len() as u64 + groups[0] - unwanted + (3 << 19);
    assert!(3 << 19 < unwanted, "the test says something");
    assert!(fetched >= bytes.len() as u64 && fetched < most, "{fetched} bytes for the first part, at most {most}");
}
