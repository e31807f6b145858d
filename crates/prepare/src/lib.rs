//! Passes from SSA to SSA that prepare a module for selection. They are shared by all targets: facts about a machine
//! are parameters.
