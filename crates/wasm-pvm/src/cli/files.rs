//! Reading inputs and writing outputs.
//!
//! An output file appears complete or not at all: it is written under another name in the same folder and renamed. A
//! link stays, and the file that it leads to is replaced. Only outputs that are not regular files (a device, a pipe) are
//! written directly, and so is `/dev/stdout`, whatever it leads to.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The name of standard input and output.
const STANDARD: &str = "-";

/// Whether a path denotes a standard stream.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// The name of an input in messages.
pub fn display(path: &Path) -> String {
    if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// All bytes of a file or of standard input.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if !is_standard(path) {
        return fs::read(path).with_context(|| format!("{}: can't read", display(path)));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("standard input: can't read")?;
    Ok(bytes)
}

/// The name of the map of a program: its own with `.map` after it.
pub fn with_map_extension(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".map");
    name.into()
}

/// Writes a file, or standard output.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_standard(path) {
        return print(bytes);
    }
    let wanted = || format!("{}: can't write", path.display());
    let is_link = path.is_symlink();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => bail!("{}: is a directory", path.display()),
        Ok(found) if !found.is_file() => fs::write(path, bytes),
        Ok(_) if is_link && !path.starts_with("/dev") => {
            fs::canonicalize(path).and_then(|file| replace(&file, bytes))
        }
        // A link that leads nowhere: the file that it names is made.
        _ if is_link => fs::write(path, bytes),
        _ => replace(path, bytes),
    }
    .with_context(wanted)
}

/// Writes to standard output. A closed pipe is not an error.
pub fn print(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output: can't write"),
    }
}

/// Writes a temporary file in the same folder and renames it. An error or a panic removes it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // As for other new files; by default, only the owner can read temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
