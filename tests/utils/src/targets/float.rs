//! The float routines against the host, with operands by the tape.

use anyhow::Result;
use random::Rng;
use runtime::testing::{Cases, every_routine};

pub fn check(bytes: &[u8]) -> Result<()> {
    every_routine(&mut Cases::new(Rng::from_bytes(bytes)));
    Ok(())
}
