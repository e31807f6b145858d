//! Profiles on the command line: conventions of hosts by name, and files with counts of runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wasm_pvm::counts::{self, Counters};
use wasm_pvm::run::{EntryPoint, RunOptions, Session};
use wasm_pvm::{Choice, Options, OptionsError, Profile};

use super::args::ModuleArgs;
use super::calls::argument_bytes;
use super::files;

/// The value of `--profile`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProfileArg {
    /// A kind of host.
    Host(Profile),
    /// A file with counts.
    Counts(PathBuf),
}

impl ProfileArg {
    /// A name of a kind of host, or else a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let host = Profile::named(text);
        Ok(host.map_or_else(|| Self::Counts(text.into()), Self::Host))
    }
}

/// A run for `--train`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Training {
    entry: String,
    args: String,
}

impl Training {
    /// `ENTRY=HEX` or `ENTRY=@FILE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (entry, args) = text.split_once('=').ok_or("expected ENTRY=HEX or ENTRY=@FILE")?;
        Ok(Self { entry: entry.to_owned(), args: args.to_owned() })
    }
}

/// The kind of host.
pub fn host(args: &ModuleArgs) -> Result<Option<Profile>> {
    let hosts = args.profile.iter().filter_map(|profile| match profile {
        ProfileArg::Host(host) => Some(*host),
        ProfileArg::Counts(_) => None,
    });
    let hosts: Vec<Profile> = hosts.collect();
    match hosts[..] {
        [] => Ok(None),
        [host] => Ok(Some(host)),
        [one, other, ..] => {
            let (one, other) = (one.name(), other.name());
            bail!(OptionsError::new(format!("--profile {one} and --profile {other} contradict each other")))
        }
    }
}

/// The sum of all files with counts.
pub fn counts(args: &ModuleArgs) -> Result<Option<counts::Profile>> {
    let mut sum: Option<counts::Profile> = None;
    for profile in &args.profile {
        let ProfileArg::Counts(path) = profile else { continue };
        let profile = read(path)?;
        match &mut sum {
            Some(sum) => sum.add(&profile).with_context(|| files::display(path))?,
            None => sum = Some(profile),
        }
    }
    Ok(sum)
}

fn read(path: &Path) -> Result<counts::Profile> {
    let hosts: Vec<&str> = Profile::VALUES.iter().map(|host| host.name()).collect();
    let bytes = files::read(path).with_context(|| {
        format!("--profile is a file that `run --profile-out` wrote, or a kind of host: {}", hosts.join(", "))
    })?;
    let name = || files::display(path);
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{}: is not text", name()))?;
    text.parse().with_context(name)
}

/// Writes the counts of a session that has run.
pub fn write(session: &mut Session, counters: &Counters, path: &Path) -> Result<()> {
    files::write(path, profile_of(session, counters)?.to_string().as_bytes())
}

fn profile_of(session: &mut Session, counters: &Counters) -> Result<counts::Profile> {
    let memory = session.exported_memory(counts::MEMORY, counters.bytes());
    Ok(counters.read(&memory.context("the counters can't be read")?))
}

/// Adds the counts of runs of a module to the profile of `options`.
pub fn train(input: &[u8], options: &mut Options, runs: &[Training]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let (output, counters) = wasm_pvm::compile_counting(input, options)?;
    for run in runs {
        let context = || format!("--train {}={}", run.entry, run.args);
        let mut session = Session::load(&output.bytes, &RunOptions::default())?;
        let args = argument_bytes(&run.args).with_context(context)?;
        let outcome = session.enter(&EntryPoint::Name(run.entry.clone()), &args).with_context(context)?;
        if outcome.status != wasm_pvm::run::Status::Halt {
            tracing::warn!(
                code = "W0117",
                "{} did not halt: {:?}; what it did counts",
                context(),
                outcome.status
            );
        }
        let profile = profile_of(&mut session, &counters)?;
        match &mut options.profile {
            Some(sum) => sum.add(&profile)?,
            None => options.profile = Some(profile),
        }
    }
    Ok(())
}
