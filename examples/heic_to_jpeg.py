"""Converts HEIC and AVIF pictures of a dump to JPEG: heic_to_jpeg.py IN.parquet OUT.parquet (needs pyarrow, pillow-heif)."""

import io
import sys

import pillow_heif
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

pillow_heif.register_heif_opener()


def converted(cell):
    if cell is None or cell[4:8] != b"ftyp":
        return cell
    picture = Image.open(io.BytesIO(cell))
    jpeg = io.BytesIO()
    # The decoder has turned it upright; a tag that says so again would turn it twice.
    picture.convert("RGB").save(jpeg, "JPEG", quality=95)
    return jpeg.getvalue()


source = pq.ParquetFile(sys.argv[1])
with pq.ParquetWriter(sys.argv[2], source.schema_arrow, compression="zstd") as writer:
    for batch in source.iter_batches(batch_size=64):
        for name in ("selfie", "photo"):
            if name in batch.schema.names:
                at = batch.schema.get_field_index(name)
                cells = pa.array([converted(cell) for cell in batch.column(at).to_pylist()], batch.schema.field(at).type)
                batch = batch.set_column(at, name, cells)
        writer.write_batch(batch)
