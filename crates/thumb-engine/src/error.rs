//! Reasons why an object can't be loaded.

/// Reasons why an object can't be loaded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// It is no relocatable ELF object for ARM; with the defect.
    #[error("not a relocatable object for ARM: {0}")]
    Broken(String),
    /// It is for no Cortex-M core.
    #[error("the build attributes name no Cortex-M core")]
    Core,
    /// A relocation of a kind that objects for these cores don't have.
    #[error("a relocation has the unknown type {0}")]
    Relocation(u32),
    /// A branch doesn't reach its target.
    #[error("a branch target is out of reach")]
    OutOfReach,
    /// It is larger than the memory map.
    #[error("the object is too large")]
    TooLarge,
}

impl From<object::read::Error> for LoadError {
    fn from(error: object::read::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
