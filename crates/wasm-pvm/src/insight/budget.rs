//! Budgets: limits of a program's bytes, blocks, gas and stack, in a file that is kept with its source.
//!
//! ```toml
//! max-bytes = 4000
//! max-block-gas = 300
//! max-block-instructions = 200
//!
//! [[entry]]
//! name = "main"
//! args = "616263"
//! max-gas = 5000
//! max-stack = 512
//!
//! [[call]]
//! name = "gcd"
//! values = ["48", "36"]
//! max-gas = 300
//! ```

use pvm_isa::{GpVersion, ProgramBlob, gas};
use toml::{Table, Value};

/// The way in which a program is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Run {
    /// An entry gets argument bytes, in hexadecimal digits or as `@FILE`.
    Entry {
        /// Its name.
        name: String,
        /// The arguments.
        args: String,
    },
    /// An export gets typed values.
    Call {
        /// Its name.
        name: String,
        /// The values as text.
        values: Vec<String>,
    },
}

/// Limits of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunBudget {
    /// The run.
    pub run: Run,
    /// Maximum gas.
    pub max_gas: Option<u64>,
    /// Maximum bytes of machine stack.
    pub max_stack: Option<u64>,
}

/// Limits of a program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// Maximum bytes of the file.
    pub max_bytes: Option<u64>,
    /// Maximum gas of a block of the machine.
    pub max_block_gas: Option<u64>,
    /// Maximum instructions of a block.
    pub max_block_instructions: Option<u64>,
    /// Limits of runs.
    pub runs: Vec<RunBudget>,
}

/// A measured number and its limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// The measured thing.
    pub subject: String,
    /// The number.
    pub measured: u64,
    /// The limit.
    pub limit: u64,
}

impl Measured {
    /// Whether the number is within its limit.
    pub const fn is_kept(&self) -> bool {
        self.measured <= self.limit
    }
}

/// A file is no budget.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a budget: {0}")]
pub struct BudgetError(String);

impl Run {
    /// The run in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Entry { name, args } if args.is_empty() => format!("entry {name}"),
            Self::Entry { name, args } => format!("entry {name} with {args}"),
            Self::Call { name, values } => format!("{name}({})", values.join(", ")),
        }
    }
}

impl Budget {
    /// Reads a budget.
    ///
    /// # Errors
    /// If it isn't one; unknown fields are errors.
    pub fn parse(text: &str) -> Result<Self, BudgetError> {
        let mut table: Table =
            text.parse().map_err(|error: toml::de::Error| BudgetError(error.to_string()))?;
        let mut budget = Self {
            max_bytes: number(&mut table, "max-bytes")?,
            max_block_gas: number(&mut table, "max-block-gas")?,
            max_block_instructions: number(&mut table, "max-block-instructions")?,
            runs: Vec::new(),
        };
        for mut entry in tables(&mut table, "entry")? {
            let name = required(&mut entry, "name")?;
            let args = string(&mut entry, "args")?.unwrap_or_default();
            budget.runs.push(limits(entry, Run::Entry { name, args })?);
        }
        for mut call in tables(&mut table, "call")? {
            let name = required(&mut call, "name")?;
            let values = match call.remove("values") {
                None => Vec::new(),
                Some(Value::Array(values)) => values.iter().map(value_text).collect::<Result<_, _>>()?,
                Some(_) => return Err(BudgetError("`values` is no list".to_owned())),
            };
            budget.runs.push(limits(call, Run::Call { name, values })?);
        }
        finish(&table)?;
        Ok(budget)
    }

    /// Checks the file and its blocks.
    pub fn of_program(&self, bytes: usize, blob: &ProgramBlob, gp: GpVersion) -> Vec<Measured> {
        let mut found = Vec::new();
        let mut check = |subject: String, measured, limit: Option<u64>| {
            found.extend(limit.map(|limit| Measured { subject, measured, limit }));
        };
        check("bytes of the file".to_owned(), bytes as u64, self.max_bytes);
        let blocks = gas::program_costs(gp, blob);
        let dearest = blocks.iter().max_by_key(|(_, gas)| *gas).copied().unwrap_or_default();
        check(format!("gas of the block at @{}", dearest.0), dearest.1.into(), self.max_block_gas);
        let ends = blocks.iter().skip(1).map(|block| block.0).chain([blob.code.len() as u32]);
        let counted = blocks.iter().zip(ends).map(|(block, end)| {
            (blob.instructions_from(gp, block.0).take_while(|(pc, _)| *pc < end).count() as u64, block.0)
        });
        let longest = counted.max().unwrap_or_default();
        check(format!("instructions of the block at @{}", longest.1), longest.0, self.max_block_instructions);
        found
    }
}

impl RunBudget {
    /// Checks a run that took this much gas and stack.
    pub fn check(&self, gas: u64, stack: u64) -> Vec<Measured> {
        let measured = |what: &str, measured, limit: Option<u64>| {
            let subject = format!("{what} of {}", self.run.name());
            limit.map(|limit| Measured { subject, measured, limit })
        };
        let checks = [measured("gas", gas, self.max_gas), measured("bytes of stack", stack, self.max_stack)];
        checks.into_iter().flatten().collect()
    }
}

fn limits(mut table: Table, run: Run) -> Result<RunBudget, BudgetError> {
    let max_gas = number(&mut table, "max-gas")?;
    let max_stack = number(&mut table, "max-stack")?;
    finish(&table)?;
    Ok(RunBudget { run, max_gas, max_stack })
}

/// Refuses fields that are left.
fn finish(table: &Table) -> Result<(), BudgetError> {
    match table.keys().next() {
        None => Ok(()),
        Some(unknown) => Err(BudgetError(format!("there is no field `{unknown}`"))),
    }
}

fn number(table: &mut Table, name: &str) -> Result<Option<u64>, BudgetError> {
    let Some(value) = table.remove(name) else { return Ok(None) };
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    number.map(Some).ok_or_else(|| BudgetError(format!("`{name}` is no number from 0 on")))
}

fn string(table: &mut Table, name: &str) -> Result<Option<String>, BudgetError> {
    match table.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(BudgetError(format!("`{name}` is no text"))),
    }
}

fn required(table: &mut Table, name: &str) -> Result<String, BudgetError> {
    string(table, name)?.ok_or_else(|| BudgetError(format!("a run has no `{name}`")))
}

fn tables(table: &mut Table, name: &str) -> Result<Vec<Table>, BudgetError> {
    let wrong = || BudgetError(format!("`{name}` is no list of tables: write [[{name}]]"));
    match table.remove(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.into_iter().map(|value| value.as_table().cloned().ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn value_text(value: &Value) -> Result<String, BudgetError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        _ => Err(BudgetError("a value of a call is a text or a number".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_and_mistakes_named() {
        let text = "max-bytes = 10\n[[entry]]\nname = \"main\"\nargs = \"00\"\nmax-gas = 5\n[[call]]\nname = \"f\"\nvalues = [1, \"-2\"]\n";
        let budget = Budget::parse(text).expect("a budget");
        assert_eq!((budget.max_bytes, budget.runs.len()), (Some(10), 2));
        assert_eq!(budget.runs[0].run.name(), "entry main with 00");
        assert_eq!(budget.runs[1].run.name(), "f(1, -2)");
        let kept: Vec<bool> = budget.runs[0].check(6, 0).iter().map(Measured::is_kept).collect();
        assert_eq!(kept, [false]);
        for (wrong, message) in [
            ("max-byte = 1", "no field `max-byte`"),
            ("max-bytes = -1", "`max-bytes` is no number"),
            ("[[entry]]", "no `name`"),
            ("entry = 1", "[[entry]]"),
            ("[[entry]]\nname = \"a\"\nmax-gass = 1", "no field `max-gass`"),
            ("max-bytes =", "not a budget"),
        ] {
            let error = Budget::parse(wrong).expect_err("wrong").to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
