//! Profiles in the formats of other tools: folded stacks, the JSON of speedscope, and a flame graph in SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use super::profile::Profile;

/// Width of a flame graph in pixels.
const WIDTH: f64 = 1200.0;
/// Height of a function in it.
const ROW: usize = 18;
/// Room above the functions.
const HEAD: usize = 30;
/// Average width of a character.
const CHARACTER: f64 = 6.6;
/// Functions narrower than this are left out.
const NARROWEST: f64 = 0.2;

/// A function on one path of a flame graph.
#[derive(Default)]
struct Node {
    cost: u64,
    children: BTreeMap<u32, Node>,
}

impl Profile {
    /// A line per stack: names from the outermost function to the innermost, separated by `;`, and the cost.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        for (stack, cost) in &self.stacks {
            let names: Vec<String> =
                stack.iter().map(|&id| self.frames[id as usize].name.replace([';', '\n'], ":")).collect();
            writeln!(text, "{} {cost}", names.join(";")).expect("strings take all");
        }
        text
    }

    /// The file that <https://speedscope.app> reads.
    pub fn speedscope(&self, name: &str) -> String {
        let frames = self.frames.iter().map(|frame| match &frame.file {
            Some(file) => json!({ "name": frame.name, "file": file }),
            None => json!({ "name": frame.name }),
        });
        let value = json!({
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "name": name,
            "exporter": "wasm-pvm",
            "activeProfileIndex": 0,
            "shared": { "frames": frames.collect::<Vec<_>>() },
            "profiles": [{
                "type": "sampled",
                "name": name,
                "unit": "none",
                "startValue": 0,
                "endValue": self.total,
                "samples": self.stacks.keys().collect::<Vec<_>>(),
                "weights": self.stacks.values().collect::<Vec<_>>(),
            }],
        });
        format!("{value}\n")
    }

    /// A flame graph: each function is as wide as its cost, below the functions that it calls.
    pub fn flame_graph(&self, title: &str) -> String {
        let mut root = Node::default();
        let mut depth = 0;
        for (stack, cost) in &self.stacks {
            depth = depth.max(stack.len());
            root.cost += cost;
            let mut node = &mut root;
            for &id in stack {
                node = node.children.entry(id).or_default();
                node.cost += cost;
            }
        }
        let height = HEAD + (depth + 1) * ROW;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"monospace\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{}\" y=\"20\" text-anchor=\"middle\" font-size=\"14\">{}</text>\n",
            WIDTH / 2.0,
            escaped(&format!("{title}: {} {}", self.total, self.unit)),
        );
        let bottom = height - ROW;
        self.draw(&root, "all", 0.0, bottom, &mut svg);
        svg + "</svg>\n"
    }

    /// Draws a function and, above it, those that it calls. Paths have a limited depth, so the recursion has, too.
    fn draw(&self, node: &Node, name: &str, x: f64, y: usize, svg: &mut String) {
        let width = WIDTH * node.cost as f64 / self.total.max(1) as f64;
        if width < NARROWEST {
            return;
        }
        let percent = 100.0 * node.cost as f64 / self.total.max(1) as f64;
        let characters = (width / CHARACTER) as usize;
        let label: String = match name.chars().count() {
            _ if characters < 3 => String::new(),
            len if len <= characters => name.to_owned(),
            _ => name.chars().take(characters - 2).chain("..".chars()).collect(),
        };
        writeln!(
            svg,
            "<g><title>{} ({} {}, {percent:.2} %)</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" \
             height=\"{}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{}</text></g>",
            escaped(name),
            node.cost,
            self.unit,
            ROW - 1,
            colour(name),
            x + 3.0,
            y + ROW - 5,
            escaped(&label),
        )
        .expect("strings take all");
        let mut left = x;
        for (&id, child) in &node.children {
            self.draw(child, &self.frames[id as usize].name, left, y.saturating_sub(ROW), svg);
            left += WIDTH * child.cost as f64 / self.total.max(1) as f64;
        }
    }
}

/// A warm colour that depends on the name alone.
fn colour(name: &str) -> String {
    let hash = super::map::hash(name.as_bytes());
    format!("rgb({},{},{})", 205 + hash % 50, 80 + (hash >> 8) % 130, 40 + (hash >> 16) % 50)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
