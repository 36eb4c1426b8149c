//! The committed inputs: a file per target, each input behind its length (four bytes, little endian).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the corpus is in the sources.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of the target called `name`.
///
/// # Errors
/// If the file cannot be read or is cut short.
pub fn read(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let bytes = fs::read(folder().join(name))?;
    let mut rest = bytes.as_slice();
    let mut inputs = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (input, behind) =
            behind.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        inputs.push(input.to_vec());
        rest = behind;
    }
    if rest.is_empty() { Ok(inputs) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes the inputs of the target called `name`, those that are there already left out of it.
///
/// # Errors
/// If the file cannot be written.
pub fn write(name: &str, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut written: Vec<&[u8]> = Vec::new();
    for input in inputs {
        if written.contains(&input.as_slice()) {
            continue;
        }
        written.push(input);
        let length = u32::try_from(input.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(input);
    }
    fs::create_dir_all(folder())?;
    fs::write(folder().join(name), bytes)
}
