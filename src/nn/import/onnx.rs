//! The part of ONNX that is needed to read weights and the order of layers: messages and field numbers as in `onnx.proto`
//! (version 1.17), everything else skipped by the wire format's own rules.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;

use super::imported::refuse;
use crate::nn::weights::Weight;
use crate::{Error, Result};

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    double_data: Vec<f64>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;

impl Node {
    /// An attribute that is a whole number.
    pub(super) fn int(&self, name: &str, usual: i64) -> i64 {
        self.attribute.iter().find(|a| a.name == name).map_or(usual, |a| a.i)
    }

    /// An attribute that is a list of whole numbers; empty where it is not given.
    pub(super) fn ints(&self, name: &str) -> &[i64] {
        self.attribute.iter().find(|a| a.name == name).map_or(&[], |a| &a.ints)
    }

    /// An attribute that is a number.
    pub(super) fn float(&self, name: &str, usual: f32) -> f32 {
        self.attribute.iter().find(|a| a.name == name).map_or(usual, |a| a.f)
    }
}

/// A graph and its constants.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// The one input that is no constant.
    pub(super) input: String,
    /// The first output.
    pub(super) output: String,
    constants: HashMap<String, TensorProto>,
}

impl Graph {
    /// Reads a model.
    pub(super) fn read(path: &Path) -> Result<Graph> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let whole = "a whole ONNX model";
        let model =
            ModelProto::decode(bytes.as_slice()).map_err(|e| refuse(path, "ONNX model", whole, e.to_string()))?;
        let graph = model.graph.ok_or_else(|| refuse(path, "ONNX model", whole, "no graph"))?;
        let mut constants: HashMap<String, TensorProto> =
            graph.initializer.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        let mut nodes = Vec::new();
        for mut node in graph.node {
            match (node.op_type.as_str(), node.output.first().cloned()) {
                ("Constant", Some(name)) => {
                    let value = node.attribute.iter_mut().find(|a| a.name == "value").and_then(|a| a.t.take());
                    constants.extend(value.map(|tensor| (name, tensor)));
                }
                _ => nodes.push(node),
            }
        }
        let mut inputs = graph.input.into_iter().map(|i| i.name).filter(|name| !constants.contains_key(name));
        let (input, more) = (inputs.next(), inputs.next());
        match (input, more, graph.output.into_iter().next()) {
            (Some(input), None, Some(output)) => Ok(Graph { nodes, input, output: output.name, constants }),
            _ => Err(refuse(path, "ONNX graph", "one input and an output", "another number")),
        }
    }

    /// Whether a value is a constant.
    pub(super) fn is_constant(&self, name: &str) -> bool {
        self.constants.contains_key(name)
    }

    /// The operations that take a value, in the order of the file.
    pub(super) fn consumers<'a>(&'a self, value: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |node| node.input.iter().any(|input| input == value))
    }

    /// A constant as f32.
    pub(super) fn weight(&self, path: &Path, name: &str) -> Result<Weight> {
        let bad = |found: &str| refuse(path, format!("constant '{name}'"), "floats inside the file", found);
        let tensor = self.constants.get(name).ok_or_else(|| bad("no constant of that name"))?;
        if tensor.data_location != 0 {
            return Err(bad("values in another file"));
        }
        let shape: Vec<usize> = tensor.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        let raw = &tensor.raw_data;
        let values: Vec<f32> = match tensor.data_type {
            FLOAT if raw.is_empty() => tensor.float_data.clone(),
            FLOAT => raw.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            FLOAT16 => raw.as_chunks::<2>().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()).collect(),
            DOUBLE if raw.is_empty() => tensor.double_data.iter().map(|&v| v as f32).collect(),
            DOUBLE => raw.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
            other => return Err(bad(&format!("type {other} of TensorProto.DataType"))),
        };
        let expected = shape.iter().try_fold(1usize, |all, &side| all.checked_mul(side));
        if expected != Some(values.len()) {
            return Err(bad(&format!("{} values for {shape:?}", values.len())));
        }
        Ok(Weight { shape, values })
    }
}
