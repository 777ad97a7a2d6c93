//! Several embedders as one: a template made of theirs.
//!
//! Each member's embedding is L2-normalised, multiplied by the square root of its share, and all are put end to end.
//! The shares add up to 1, so the result has norm 1, and the cosine of two such templates is the mean of the members'
//! cosines weighted by share. Store, search and calibration therefore need to know nothing of ensembles: it is one more
//! model with an id of its own. The manifest names the members and their shares, and says how the shares were fitted.

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::nn::Embedder;
use crate::nn::weights::Ensemble;

/// The members, loaded, each with its share of the squared norm.
pub struct EnsembleEmbedder {
    id: String,
    members: Vec<(Box<dyn Embedder>, f32)>,
}

impl EnsembleEmbedder {
    /// Joins loaded members in the order of the manifest, one for each share.
    pub fn new(entry: &Ensemble, members: Vec<Box<dyn Embedder>>) -> Self {
        let members: Vec<(Box<dyn Embedder>, f32)> = members.into_iter().zip(entry.shares.iter().copied()).collect();
        EnsembleEmbedder { id: id(&entry.name, &members), members }
    }
}

/// Name, and twelve digits of a sum over the members' ids and shares: another member, another share or another order is
/// another model, whose templates are not compared with these.
fn id(name: &str, members: &[(Box<dyn Embedder>, f32)]) -> String {
    let mut sum = Sha256::new();
    for (member, share) in members {
        sum.update(format!("{} {share}\n", member.id()));
    }
    let digits: String = sum.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}:{digits}")
}

impl Embedder for EnsembleEmbedder {
    fn embed(&self, crops: &Tensor) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(self.members.len());
        for (member, share) in &self.members {
            parts.push((member.embed(crops)?.to_device(&Device::Cpu)?.to_vec2::<f32>()?, share.sqrt()));
        }
        let rows = crops.dim(0)?;
        let mut joined = Vec::with_capacity(rows * self.dim());
        for row in 0..rows {
            for (part, root) in &parts {
                join(&part[row], *root, &mut joined);
            }
        }
        Ok(Tensor::from_vec(joined, (rows, self.dim()), crops.device())?)
    }

    fn dim(&self) -> usize {
        self.members.iter().map(|(member, _)| member.dim()).sum()
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// Appends an embedding scaled to a norm. One without a direction stays as it is, for the whole to be refused when it
/// becomes a template (NaN, infinite) or to add nothing (zero).
fn join(embedding: &[f32], norm: f32, out: &mut Vec<f32>) {
    let squares: f64 = embedding.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let factor = if squares > 0.0 { f64::from(norm) / squares.sqrt() } else { 1.0 };
    out.extend(embedding.iter().map(|&v| (f64::from(v) * factor) as f32));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::WeightStore;

    /// Embeds by picking fixed rows: what is tested here is the joining.
    struct Rows(&'static str, Vec<Vec<f32>>);

    impl Embedder for Rows {
        fn embed(&self, crops: &Tensor) -> Result<Tensor> {
            assert_eq!(crops.dim(0)?, self.1.len());
            Ok(Tensor::new(self.1.clone(), &Device::Cpu)?)
        }

        fn dim(&self) -> usize {
            self.1[0].len()
        }

        fn id(&self) -> &str {
            self.0
        }
    }

    fn entry(shares: [f32; 2]) -> Ensemble {
        Ensemble {
            name: "a+b".into(),
            members: vec!["a".into(), "b".into()],
            shares: shares.to_vec(),
            notes: String::new(),
        }
    }

    fn members() -> Vec<Box<dyn Embedder>> {
        let a = Rows("a:1", vec![vec![3.0, 4.0, 0.0], vec![0.3, -0.4, 2.0]]);
        let b = Rows("b:2", vec![vec![100.0, 1.0], vec![-50.0, 80.0]]);
        vec![Box::new(a), Box::new(b)]
    }

    #[test]
    fn the_cosine_is_the_mean_of_the_members_cosines_by_share() {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let cosine =
            |rows: &[Vec<f32>]| dot(&rows[0], &rows[1]) / (dot(&rows[0], &rows[0]) * dot(&rows[1], &rows[1])).sqrt();
        let crops = Tensor::zeros((2, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let alone: Vec<f32> = members().iter().map(|m| cosine(&m.embed(&crops).unwrap().to_vec2().unwrap())).collect();
        for share in [0.0, 0.25, 0.8, 1.0] {
            let both = EnsembleEmbedder::new(&entry([share, 1.0 - share]), members());
            let rows: Vec<Vec<f32>> = both.embed(&crops).unwrap().to_vec2().unwrap();
            assert_eq!((rows[0].len(), both.dim()), (5, 5));
            let expected = share * alone[0] + (1.0 - share) * alone[1];
            assert!((cosine(&rows) - expected).abs() < 1e-5, "{share}: {} for {expected}", cosine(&rows));
        }
    }

    #[test]
    fn another_share_or_order_is_another_model() {
        let id = |shares, members| EnsembleEmbedder::new(&entry(shares), members).id().to_owned();
        let usual = id([0.8, 0.2], members());
        assert!(usual.starts_with("a+b:") && usual.len() == "a+b:".len() + 12, "{usual}");
        assert_eq!(usual, id([0.8, 0.2], members()));
        assert_ne!(usual, id([0.7, 0.3], members()));
        assert_ne!(usual, id([0.8, 0.2], members().into_iter().rev().collect()));
    }

    #[test]
    fn the_ensemble_of_the_manifest_loads() {
        let store = WeightStore::open(None).unwrap();
        let both = crate::nn::load_embedder(&store, "sface+mobilefacenet192").unwrap();
        assert_eq!(both.dim(), 128 + 192);
    }
}
