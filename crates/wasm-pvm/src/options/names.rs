//! Names of the values of options: on the command line, in messages, and in the settings that an object records.

use target_pvm::EntryMode;
use target_thumb::{InitialData, MemoryMode};

use super::{Constants, OptLevel, ResultConvention, ShadowStack};
use super::{
    Debug, FloatAbi, FloatHelpers, Floats, Format, MetadataContents, Names, Profile, PvmBounds, StartCopy,
    ThumbBounds,
};

/// An option with a fixed set of named values.
pub trait Choice: Copy + Send + Sync + 'static {
    /// All values, in the order in which they are listed.
    const VALUES: &'static [Self];

    /// The name of the value.
    fn name(self) -> &'static str;

    /// The value with this name.
    fn named(name: &str) -> Option<Self> {
        Self::VALUES.iter().copied().find(|value| value.name() == name)
    }
}

/// Names all values of each type.
macro_rules! choices {
    ($($ty:ty { $($name:literal $variant:ident,)* })*) => {$(
        impl Choice for $ty {
            const VALUES: &'static [Self] = &[$(Self::$variant,)*];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    )*};
}

choices! {
    OptLevel { "0" O0, "1" O1, "2" O2, "s" Os, "z" Oz, }
    Floats { "reject" Reject, "trap" Trap, "soft" Soft, "hard" Hard, }
    ShadowStack { "auto" Auto, "native" Native, "strict" Strict, }
    Format { "jam" Jam, "spi" Spi, "raw" Raw, "polkavm" PolkaVm, "corevm" CoreVm, }
    Profile { "jam" Jam, "revive" Revive, "corevm" CoreVm, "substrate" Substrate, }
    PvmBounds { "guard" Guard, "strict" Strict, }
    EntryMode { "auto" Auto, "raw" Raw, }
    ResultConvention { "len" Length, "end" End, }
    StartCopy { "auto" Auto, "never" Never, }
    MetadataContents { "entries" Entries, "exports" Exports, }
    Names { "auto" Auto, "keep" Keep, "strip" Strip, "lines" Lines, }
    ThumbBounds { "none" None, "mask" Mask, "check" Check, "mpu" Mpu, }
    MemoryMode { "native" Native, "symbol" Symbol, "register" Register, }
    InitialData { "copy" Copy, "image" Image, "none" None, }
    Constants { "auto" Auto, "address" Address, "number" Number, "refuse" Refuse, }
    FloatHelpers { "aeabi" Aeabi, "own" Own, }
    FloatAbi { "hard" Hard, "softfp" Softfp, }
    Debug { "none" None, "lines" Lines, }
}

/// Options of the engine.
#[cfg(feature = "engine")]
mod engine {
    use super::Choice;
    use crate::run::{Backend, Host};

    choices! {
        Backend { "auto" Auto, "interpreter" Interpreter, "compiler" Compiler, }
        Host { "jam" Jam, "substrate" Substrate, }
    }
}
