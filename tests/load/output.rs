//! Results on stdout, remarks on stderr.

use std::io::{self, Write as _};

/// A line of results.
pub(crate) fn result(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// A line for the person who watches. Whether it can be written does not matter.
pub(crate) fn remark(line: &str) {
    let _nobody_watches = writeln!(io::stderr().lock(), "{line}");
}
