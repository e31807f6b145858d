//! The Cortex-M target.
