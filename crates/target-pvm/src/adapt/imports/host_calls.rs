//! The host calls of the Gray Paper (appendix B), and `log` of JIP-1.
//!
//! GP 0.8 inserted `grow_heap` at 1, so most numbers differ between the versions while the meanings are the same. A
//! [`Numbering`] translates a number by its meaning. Imports of the module `jam` name a host call instead: these have a
//! known signature, so arguments that are addresses are converted to addresses of the machine.

use pvm_isa::GpVersion;

use super::ImportError;

/// The meaning of an argument of a host call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// A number.
    Word,
    /// The address of bytes in memory.
    Address,
    /// The address of bytes in memory; 0 for none.
    Optional,
}

/// A host call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostCall {
    /// Its name in the Gray Paper.
    pub name: &'static str,
    /// Its number in GP 0.7.2, if it exists there.
    v072: Option<u32>,
    /// Its number in GP 0.8.
    v08: u32,
    /// Arguments in words: a name, with `*` for an address and `?` for one that may be 0.
    args: &'static str,
    /// The same in GP 0.7.2, where it differs.
    args072: &'static str,
    /// Number of result words.
    pub results: usize,
}

const fn call(name: &'static str, v08: u32, args: &'static str) -> HostCall {
    HostCall { name, v072: Some(v08 - 1), v08, args, args072: args, results: 1 }
}

/// All host calls.
pub const HOST_CALLS: [HostCall; 29] = [
    HostCall { name: "gas", v072: Some(0), v08: 0, args: "", args072: "", results: 1 },
    HostCall { name: "grow_heap", v072: None, v08: 1, args: "end_page", args072: "", results: 1 },
    call("fetch", 2, "out* offset length kind index index"),
    call("lookup", 3, "service hash* out* offset length"),
    call("read", 4, "service key* key_length out* offset length"),
    call("write", 5, "key* key_length value* value_length"),
    call("info", 6, "service out* offset length"),
    call("historical_lookup", 7, "service hash* out* offset length"),
    call("export", 8, "segment* length"),
    call("machine", 9, "code* length pc"),
    call("peek", 10, "machine out* inner_address length"),
    call("poke", 11, "machine bytes* inner_address length"),
    call("pages", 12, "machine first_page count access"),
    HostCall { results: 2, ..call("invoke", 13, "machine gas_and_registers*") },
    call("expunge", 14, "machine"),
    call("bless", 15, "manager assigners* delegator registrar always* count"),
    call("assign", 16, "core queue* assigner"),
    HostCall { args072: "keys*", ..call("designate", 17, "keys* count") },
    call("checkpoint", 18, ""),
    call("new", 19, "code_hash* code_length gas memo_gas gratis id"),
    call("upgrade", 20, "code_hash* gas memo_gas"),
    call("transfer", 21, "service amount gas memo*"),
    call("eject", 22, "service hash*"),
    HostCall { results: 2, ..call("query", 23, "hash* length") },
    call("solicit", 24, "hash* length"),
    call("forget", 25, "hash* length"),
    call("yield", 26, "hash*"),
    call("provide", 27, "service preimage* length"),
    HostCall {
        name: "log",
        v072: Some(LOG),
        v08: LOG,
        args: "level target? target_length message* message_length",
        args072: "level target? target_length message* message_length",
        results: 1,
    },
];

/// The number of the host call `log`.
pub const LOG: u32 = 100;

impl HostCall {
    /// The host call with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        HOST_CALLS.iter().find(|call| call.name == name)
    }

    /// The host call with this number.
    fn numbered(number: u32, gp: GpVersion) -> Option<&'static Self> {
        HOST_CALLS.iter().find(|call| call.number(gp) == Some(number))
    }

    /// Its number; `None` if the version lacks it.
    pub const fn number(&self, gp: GpVersion) -> Option<u32> {
        match gp {
            GpVersion::V072 => self.v072,
            GpVersion::V08 | GpVersion::Next => Some(self.v08),
        }
    }

    /// The names of its arguments, with marks for addresses.
    pub const fn signature(&self, gp: GpVersion) -> &'static str {
        match gp {
            GpVersion::V072 => self.args072,
            GpVersion::V08 | GpVersion::Next => self.args,
        }
    }

    /// Its arguments.
    pub fn arguments(&self, gp: GpVersion) -> impl Iterator<Item = Argument> {
        self.signature(gp).split_whitespace().map(|arg| match arg.as_bytes().last() {
            Some(b'*') => Argument::Address,
            Some(b'?') => Argument::Optional,
            _ => Argument::Word,
        })
    }
}

/// The version of the program and the version whose numbers its module uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbering {
    /// The version the program is for.
    pub gp: GpVersion,
    /// The version whose numbers the module, its adapters and import maps use; `None` is the same one.
    pub written_for: Option<GpVersion>,
}

impl Numbering {
    /// The number in this version of the host call with a number in the version of the module. Other numbers stay.
    ///
    /// # Errors
    /// If this version lacks the host call.
    pub fn translate(self, number: u32) -> Result<u32, ImportError> {
        let Some(written_for) = self.written_for.filter(|version| *version != self.gp) else {
            return Ok(number);
        };
        let Some(call) = HostCall::numbered(number, written_for) else { return Ok(number) };
        call.number(self.gp).ok_or(ImportError::NoHostCall {
            name: call.name,
            number,
            written_for,
            gp: self.gp,
        })
    }

    /// Whether a number of the module has another meaning in the other version, and no version was stated.
    pub fn is_ambiguous(self, number: u32) -> bool {
        let [old, new] = [GpVersion::V072, GpVersion::V08].map(|gp| HostCall::numbered(number, gp));
        self.written_for.is_none() && old.map(|call| call.name) != new.map(|call| call.name)
    }

    /// The meanings of a number in both versions, for a warning.
    pub fn meanings(number: u32) -> String {
        let name = |gp| HostCall::numbered(number, gp).map_or("unknown", |call| call.name);
        format!("{number} is {} in GP 0.7 and {} in GP 0.8", name(GpVersion::V072), name(GpVersion::V08))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_translated_by_meaning() {
        let numbering = |gp, written_for| Numbering { gp, written_for };
        let newer = numbering(GpVersion::V08, Some(GpVersion::V072));
        assert_eq!(
            [0, 1, 3, 26, 27, 100, 1000].map(|n| newer.translate(n)),
            [Ok(0), Ok(2), Ok(4), Ok(27), Ok(27), Ok(100), Ok(1000)]
        );
        let older = numbering(GpVersion::V072, Some(GpVersion::V08));
        assert_eq!(older.translate(2), Ok(1));
        let error = older.translate(1).expect_err("GP 0.7 has no grow_heap");
        assert!(error.to_string().contains("grow_heap"), "{error}");
        for same in [numbering(GpVersion::V08, None), numbering(GpVersion::V08, Some(GpVersion::V08))] {
            assert_eq!(same.translate(5), Ok(5));
        }
    }

    #[test]
    fn only_numbers_with_two_meanings_are_ambiguous() {
        let open = Numbering { gp: GpVersion::V08, written_for: None };
        let ambiguous: Vec<u32> = (0..200).filter(|&number| open.is_ambiguous(number)).collect();
        assert_eq!(ambiguous, (1..=27).collect::<Vec<u32>>());
        let stated = Numbering { written_for: Some(GpVersion::V08), ..open };
        assert!((0..200).all(|number| !stated.is_ambiguous(number)));
    }

    #[test]
    fn host_calls_take_six_words_at_most() {
        for (call, gp) in HOST_CALLS.iter().flat_map(|call| [(call, GpVersion::V072), (call, GpVersion::V08)])
        {
            assert!(call.arguments(gp).count() <= super::super::MAX_ARGS, "{}", call.name);
        }
    }
}
