//! Templates on disk: segments, manifest, exact search and HNSW.
