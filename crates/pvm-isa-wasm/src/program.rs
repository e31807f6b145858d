//! A program file, and its three answers.

use pvm_isa::decode::DecodedInst;
use pvm_isa::disasm::Disassembly;
use pvm_isa::metadata::{FunctionName, Import, ImportKind};
use pvm_isa::{Container, GpVersion, gas};

use crate::json::{Object, list};

/// A parsed file.
pub struct Program {
    container: Container,
    gp: GpVersion,
    functions: Vec<FunctionName>,
}

impl Program {
    /// Reads a file, for a version of the Gray Paper: 7 or 8, or 0 for the one that it names.
    pub fn parse(bytes: &[u8], gp: u32) -> Result<Self, String> {
        let asked = match gp {
            0 => None,
            7 => Some(GpVersion::V072),
            8 => Some(GpVersion::V08),
            _ => return Err(format!("{gp} is no version of the Gray Paper; 7 and 8 are")),
        };
        let container = Container::parse_for(asked, bytes);
        let container = container.map_err(|error| format!("not a PVM program: {error}"))?;
        let gp = asked.or(container.gp()).unwrap_or_default();
        let functions = container.functions(gp);
        Ok(Self { container, gp, functions })
    }

    /// The program as text.
    pub fn assembly(&self, with_bytes: bool) -> String {
        let functions = &self.functions;
        Disassembly { program: self.container.blob(), gp: self.gp, functions, with_bytes }.to_string()
    }

    /// All of it as JSON.
    pub fn decoded(&self) -> String {
        let extension = self.container.extension();
        let blob = self.container.blob();
        let entries = extension.exports.iter().map(|export| {
            Object::new()
                .with_text("name", &export.name)
                .with("pc", export.pc)
                .with_text("signature", &export.signature)
                .end()
        });
        let functions = self.functions.iter().map(named);
        let instructions = blob.instructions(self.gp).map(|(pc, inst)| instruction(pc, &inst));
        Object::new()
            .with_text("form", self.container.form())
            .with_text("gp", &self.gp.to_string())
            .with("linearMemory", extension.linear_memory.map_or("null".to_owned(), |base| base.to_string()))
            .with("entries", list(entries))
            .with("imports", list(extension.imports.iter().map(import)))
            .with("functions", list(functions))
            .with("instructions", list(instructions))
            .with("blocks", list(gas::program_costs(self.gp, blob).iter().map(block)))
            .with("jumpTable", list(blob.jump_table.iter().map(u32::to_string)))
            .end()
    }

    /// The gas of each function and of its blocks, as JSON. Code before the first function has no name.
    pub fn gas(&self) -> String {
        let costs = gas::program_costs(self.gp, self.container.blob());
        let starts: Vec<(u32, &str)> =
            self.functions.iter().map(|function| (function.pc, function.name.as_str())).collect();
        let first = costs.first().filter(|(pc, _)| starts.first().is_none_or(|(start, _)| start > pc));
        let starts: Vec<(u32, &str)> = first.map(|&(pc, _)| (pc, "")).into_iter().chain(starts).collect();
        let functions = starts.iter().enumerate().filter_map(|(n, &(pc, name))| {
            let end = starts.get(n + 1).map_or(u32::MAX, |next| next.0);
            let blocks: Vec<_> = costs.iter().filter(|(at, _)| (pc..end).contains(at)).collect();
            let total: u64 = blocks.iter().map(|block| u64::from(block.1)).sum();
            let object = Object::new().with_text("name", name).with("pc", pc).with("gas", total);
            (!blocks.is_empty()).then(|| object.with("blocks", list(blocks.into_iter().map(block))).end())
        });
        let total: u64 = costs.iter().map(|&(_, gas)| u64::from(gas)).sum();
        Object::new()
            .with_text("gp", &self.gp.to_string())
            .with("total", total)
            .with("functions", list(functions))
            .end()
    }
}

fn named(function: &FunctionName) -> String {
    Object::new().with("pc", function.pc).with_text("name", &function.name).end()
}

fn block(&(pc, gas): &(u32, u32)) -> String {
    Object::new().with("pc", pc).with("gas", gas).end()
}

fn import(import: &Import) -> String {
    let object = Object::new().with_text("module", &import.module).with_text("name", &import.name);
    match import.kind {
        ImportKind::Trap => object.with_text("action", "trap"),
        ImportKind::Nop => object.with_text("action", "nop"),
        ImportKind::BuiltIn => object.with_text("action", "built in"),
        ImportKind::Ecalli(number) => object.with_text("action", "ecalli").with("number", number),
    }
    .end()
}

fn instruction(pc: u32, inst: &DecodedInst<'_>) -> String {
    let bytes: String = inst.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let object = Object::new().with("pc", pc).with_text("bytes", &bytes).with("valid", inst.is_valid);
    if !inst.is_valid {
        return object.with("mnemonic", "null").with_text("text", "invalid").end();
    }
    let object = object
        .with_text("mnemonic", &inst.inst.op().to_string())
        .with_text("text", &inst.inst.display_at(pc).to_string());
    match inst.inst.target(pc) {
        Some(target) => object.with("target", target).end(),
        None => object.end(),
    }
}

#[cfg(test)]
mod tests {
    use super::{FunctionName, named};
    use crate::json::string;

    #[test]
    fn names_are_escaped() {
        let function = FunctionName { pc: 3, name: "a\"b".to_owned() };
        assert_eq!(named(&function), format!("{{\"pc\":3,\"name\":{}}}", string("a\"b")));
    }
}
