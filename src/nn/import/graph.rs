//! An ONNX graph followed from its input to its output, layer by layer, and held against the family's plan.
//!
//! Exporters fold what they like: a batch-norm behind a convolution may be there or already in it; a fully connected layer
//! is `Gemm` or `MatMul` and `Add`; flattening is `Flatten` or `Reshape`; dropout is nothing, `Dropout` or `Identity`; the
//! normalisation of pixels may stand in front as `Sub` and `Mul` or `Div`. Names mean nothing and are not looked at.

use std::path::Path;

use super::imported::{Imported, Tensors, imported, refuse};
use super::onnx::{Graph, Node};
use crate::nn::weights::{Colour, Weight};
use crate::{Error, Result};

/// Operations that change nothing at inference, or only the shape.
const PASSING: [&str; 7] = ["Identity", "Dropout", "Flatten", "Reshape", "Cast", "Squeeze", "Unsqueeze"];
/// The name of a unit's first batch-norm and of everything else, in the order of `NORM` in PyTorch.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Reads an ONNX model of the family.
pub(super) fn read(path: &Path) -> Result<Imported> {
    let mut walk = Walk { path, graph: Graph::read(path)?, to: Tensors::new() };
    let (start, normalisation) = walk.normalisation()?;
    let mut at = walk.convolution(&start, "stem", true)?;
    let mut units = 0;
    while let Some(next) = walk.unit(&at, &format!("units.{units}"))? {
        at = next;
        units += 1;
    }
    let end = walk.head(&at)?;
    if end != walk.graph.output {
        let expected = format!("the output '{}'", walk.graph.output);
        return Err(walk.refuse(&end, &expected));
    }
    imported(path, "ONNX", walk.to, Colour::Rgb, normalisation)
}

struct Walk<'a> {
    path: &'a Path,
    graph: Graph,
    to: Tensors,
}

impl Walk<'_> {
    fn refuse(&self, value: &str, expected: &str) -> Error {
        let next: Vec<&str> = self.graph.consumers(value).map(|node| node.op_type.as_str()).collect();
        let found = if next.is_empty() { "nothing".to_owned() } else { next.join(" and ") };
        refuse(self.path, format!("after value '{value}'"), expected, found)
    }

    /// The only operation that takes a value, if it is of a kind.
    fn next<'a>(&'a self, value: &'a str, kind: &str) -> Option<&'a Node> {
        let mut consumers = self.graph.consumers(value);
        consumers.next().filter(|node| node.op_type == kind && consumers.next().is_none())
    }

    fn output(node: &Node) -> String {
        node.output.first().cloned().unwrap_or_default()
    }

    fn constant(&self, node: &Node, index: usize) -> Result<Weight> {
        let name = node.input.get(index).map_or("", String::as_str);
        self.graph.weight(self.path, name)
    }

    /// Behind operations that change nothing.
    fn passed(&self, mut value: String) -> String {
        while let Some(node) = PASSING.iter().find_map(|kind| self.next(&value, kind)) {
            value = Self::output(node);
        }
        value
    }

    /// What stands before the first convolution, as mean and factor.
    fn normalisation(&self) -> Result<(String, Option<[f32; 2]>)> {
        let mut value = self.passed(self.graph.input.clone());
        // In f64, so that a mean of 127.5 comes out as that after it went through a factor.
        let (mut factor, mut term, mut given) = (1.0f64, 0.0f64, false);
        while let Some(node) = ["Sub", "Add", "Mul", "Div"].iter().find_map(|kind| self.next(&value, kind)) {
            let constant = self.constant(node, 1)?;
            let number = constant.values.first().copied().unwrap_or(f32::NAN);
            if constant.values.iter().any(|v| *v != number) || number == 0.0 {
                return Err(self.refuse(&value, "one mean and one factor for all colours"));
            }
            let number = f64::from(number);
            (factor, term) = match node.op_type.as_str() {
                "Sub" => (factor, term - number),
                "Add" => (factor, term + number),
                "Mul" => (factor * number, term * number),
                _ => (factor / number, term / number),
            };
            given = true;
            value = self.passed(Self::output(node));
        }
        Ok((value, given.then_some([(-term / factor) as f32, factor as f32])))
    }

    /// A convolution with what follows it; gives the value behind. `activated`: a PReLU must follow.
    fn convolution(&mut self, value: &str, name: &str, activated: bool) -> Result<String> {
        let Some(node) = self.graph.consumers(value).find(|node| node.op_type == "Conv").cloned() else {
            return Err(self.refuse(value, "Conv"));
        };
        self.conv_node(&node, name, activated)
    }

    fn conv_node(&mut self, node: &Node, name: &str, activated: bool) -> Result<String> {
        let weight = self.constant(node, 1)?;
        let (kernel, pads) = (weight.shape.get(2).copied().unwrap_or(0), node.ints("pads"));
        let pad = if kernel == 3 { 1 } else { 0 };
        let square = weight.shape.len() == 4 && weight.shape[2] == weight.shape[3] && [1, 3].contains(&kernel);
        let plain = node.int("group", 1) == 1 && node.ints("dilations").iter().all(|&d| d == 1);
        if !square || !plain || pads.iter().any(|&p| p != pad) || (pads.is_empty() && pad != 0) {
            let found = format!("weights {:?}, pads {pads:?}", weight.shape);
            return Err(refuse(
                self.path,
                format!("Conv '{}'", node.name),
                "1x1 or 3x3, padded to keep the size",
                found,
            ));
        }
        self.to.insert(format!("{name}.conv.weight"), weight);
        if node.input.len() > 2 {
            let bias = self.constant(node, 2)?;
            self.to.insert(format!("{name}.conv.bias"), bias);
        }
        let mut value = Self::output(node);
        if let Some(norm) = self.next(&value, "BatchNormalization").cloned() {
            value = self.norm(&norm, &format!("{name}.bn"))?;
        }
        if !activated {
            return Ok(value);
        }
        let Some(node) = self.next(&value, "PRelu").cloned() else { return Err(self.refuse(&value, "PRelu")) };
        let slope = self.constant(&node, 1)?.values;
        let shape = vec![slope.len()];
        self.to.insert(format!("{name}.prelu.weight"), Weight { shape, values: slope });
        Ok(Self::output(&node))
    }

    fn norm(&mut self, node: &Node, name: &str) -> Result<String> {
        for (index, part) in NORM.into_iter().enumerate() {
            let weight = self.constant(node, index + 1)?;
            self.to.insert(format!("{name}.{part}"), weight);
        }
        let eps = Weight { shape: vec![1], values: vec![node.float("epsilon", 1e-5)] };
        self.to.insert(format!("{name}.eps"), eps);
        Ok(Self::output(node))
    }

    /// A residual unit, or `None` where the head begins: a unit's input goes two ways.
    fn unit(&mut self, value: &str, name: &str) -> Result<Option<String>> {
        let consumers: Vec<Node> = self.graph.consumers(value).cloned().collect();
        let [a, b] = consumers.as_slice() else { return Ok(None) };
        let (main, side) = if a.op_type == "BatchNormalization" { (a, b) } else { (b, a) };
        if main.op_type != "BatchNormalization" {
            return Err(self.refuse(value, "BatchNormalization and a shortcut"));
        }
        let inner = self.norm(main, &format!("{name}.bn"))?;
        let inner = self.convolution(&inner, &format!("{name}.first"), true)?;
        let Some(second) = self.next(&inner, "Conv").cloned() else { return Err(self.refuse(&inner, "Conv")) };
        let stride = second.ints("strides").first().copied().unwrap_or(1);
        let inner = self.conv_node(&second, &format!("{name}.second"), false)?;
        let expected_stride = [stride, stride];
        let other = match side.op_type.as_str() {
            "Add" if stride == 1 => value.to_owned(),
            "Conv" if side.ints("strides").iter().all(|&s| s == stride) => {
                self.conv_node(side, &format!("{name}.shortcut"), false)?
            }
            "MaxPool" if side.ints("kernel_shape") == [1, 1] && side.ints("strides") == expected_stride => {
                Self::output(side)
            }
            _ => return Err(self.refuse(value, "a shortcut with the unit's stride: Add, Conv or MaxPool of 1x1")),
        };
        let Some(add) = self.next(&inner, "Add").filter(|add| add.input.contains(&other)) else {
            return Err(self.refuse(&inner, "Add of the unit and its shortcut"));
        };
        let end = Self::output(add);
        self.to.insert(format!("{name}.stride"), Weight { shape: vec![1], values: vec![stride as f32] });
        Ok(Some(end))
    }

    /// Norm, fully connected layer, norm.
    fn head(&mut self, value: &str) -> Result<String> {
        let mut at = value.to_owned();
        if let Some(node) = self.next(&at, "BatchNormalization").cloned() {
            at = self.norm(&node, "features.bn")?;
        }
        at = self.passed(at);
        let Some(node) = ["Gemm", "MatMul"].iter().find_map(|kind| self.next(&at, kind)).cloned() else {
            return Err(self.refuse(&at, "Gemm or MatMul"));
        };
        let weight = self.constant(&node, 1)?;
        let plain = node.float("alpha", 1.0) == 1.0 && node.float("beta", 1.0) == 1.0 && node.int("transA", 0) == 0;
        if weight.shape.len() != 2 || !plain {
            return Err(self.refuse(&at, "a fully connected layer without factors"));
        }
        let weight = if node.int("transB", 0) == 0 { transposed(&weight) } else { weight };
        self.to.insert("embedding.linear.weight".into(), weight);
        at = Self::output(&node);
        if node.input.len() > 2 {
            let bias = self.constant(&node, 2)?;
            self.to.insert("embedding.linear.bias".into(), bias);
        } else if let Some(add) = self.next(&at, "Add").cloned() {
            let constant = if self.graph.is_constant(&add.input[0]) { 0 } else { 1 };
            let bias = self.constant(&add, constant)?;
            self.to.insert("embedding.linear.bias".into(), bias);
            at = Self::output(&add);
        }
        at = self.passed(at);
        if let Some(node) = self.next(&at, "BatchNormalization").cloned() {
            at = self.norm(&node, "embedding.bn")?;
        }
        Ok(self.passed(at))
    }
}

fn transposed(weight: &Weight) -> Weight {
    let (rows, cols) = (weight.shape[0], weight.shape[1]);
    let values = (0..cols).flat_map(|c| (0..rows).map(move |r| weight.values[r * cols + c])).collect();
    Weight { shape: vec![cols, rows], values }
}
