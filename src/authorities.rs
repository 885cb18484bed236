//! A file of certificate authorities that are trusted instead of the system's.

use std::path::Path;

use reqwest::Certificate;

use crate::regular_file::RegularFile;

/// The bundles of all public authorities have a quarter of a megabyte.
const LARGEST_BUNDLE: u64 = 4 * 1024 * 1024;

/// The authorities in a file in PEM format; at least one.
///
/// # Errors
/// What is wrong with the file, without its name.
pub(crate) fn read(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = RegularFile::open(path)
        .and_then(|file| file.read(LARGEST_BUNDLE))
        .map_err(|error| error.to_string())?;
    let authorities =
        Certificate::from_pem_bundle(&pem).map_err(|_| "it is not in PEM format".to_owned())?;
    if authorities.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(authorities)
}
