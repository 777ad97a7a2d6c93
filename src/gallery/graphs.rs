//! The graph of a part: in memory, else from its file, else built and written.

use std::sync::Arc;

use super::derived::{Bytes, GRAPH};
use super::dot::Kernel;
use super::hnsw::{self, Graph};
use super::view::Part;
use crate::Result;

impl Part {
    /// The graph of this part: in memory, else from its file, else built and written.
    pub(super) fn graph(&self, kernel: Kernel) -> Result<Arc<Graph>> {
        if let Some(graph) = self.graph.get() {
            return Ok(graph.clone());
        }
        let graph = Arc::new(self.load_graph(kernel)?);
        Ok(self.graph.get_or_init(|| graph).clone())
    }

    /// Whether a graph is in memory or lies ready beside the segment.
    pub(super) fn has_graph(&self) -> bool {
        self.graph.get().is_some() || self.files.as_ref().is_some_and(|f| f.path(GRAPH.ending).exists())
    }

    fn load_graph(&self, kernel: Kernel) -> Result<Graph> {
        let Some(files) = &self.files else {
            return Graph::from_bytes(Bytes::Owned(hnsw::build(&self.codes, kernel)));
        };
        let path = files.path(GRAPH.ending);
        let source = files.source();
        match GRAPH.open(&path, source, true) {
            Ok(bytes) => Graph::from_bytes(bytes),
            Err(problem) => {
                log::info!("{}: {problem}; building it from its segment", path.display());
                let payload = hnsw::build(&self.codes, kernel);
                if let Err(error) = files.keep(&[&path], GRAPH.write(&path, source, &[&payload])) {
                    log::warn!("the graph stays in memory: {error}");
                }
                match GRAPH.open(&path, source, false) {
                    Ok(bytes) => Graph::from_bytes(bytes),
                    Err(_) => Graph::from_bytes(Bytes::Owned(payload)),
                }
            }
        }
    }
}
