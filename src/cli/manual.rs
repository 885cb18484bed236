//! Completions and man pages, generated from the arguments so that they cannot differ from them.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::args::{Arguments, CONFIG_VARIABLE, Completions, DEFAULT_CONFIG};
use super::exit::{Exit, Failure};
use super::output;

/// Prints the completions of one shell.
pub(super) fn completions(arguments: &Completions) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "credvend",
        &mut text,
    );
    output::bytes(&text)?;
    Ok(Exit::Fine)
}

/// Prints the main page, or writes the pages of all commands into a directory.
pub(super) fn man(directory: Option<&Path>) -> Result<Exit, Failure> {
    let wrong = |what: io::Error| Failure::new(Exit::Unavailable, what.to_string());
    let mut main = Arguments::command();
    main.build();
    let Some(directory) = directory else {
        output::bytes(&page(&main).map_err(wrong)?)?;
        return Ok(Exit::Fine);
    };
    for command in std::iter::once(&main).chain(main.get_subcommands()) {
        let name = command
            .get_display_name()
            .unwrap_or_else(|| command.get_name());
        let path = directory.join(format!("{name}.1"));
        fs::write(&path, page(command).map_err(wrong)?).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("cannot write {}: {error}", path.display()),
            )
        })?;
    }
    Ok(Exit::Fine)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .manual("credvend manual")
        .render(&mut page)?;
    endings().to_writer(&mut page)?;
    Ok(page)
}

/// What every page ends with.
fn endings() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([roman(exit.code().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, what) in [
        (
            CONFIG_VARIABLE,
            "the configuration file, unless --config names one",
        ),
        (
            "CREDVEND_VARIABLES",
            "set by exec and env: the names of the variables that they set, so that another one \
             inside leaves none of them",
        ),
    ] {
        roff.control("TP", []);
        roff.text([roman(format!("${name}"))]);
        roff.text([roman(what)]);
    }
    roff.control("SH", ["FILES"]);
    for (path, what) in [
        (DEFAULT_CONFIG, "the configuration"),
        (
            "/etc/credvend/conf.d/*.toml",
            "further parts of it, read in the order of their names",
        ),
        (
            "/run/credvend/admin.sock",
            "the admin socket, unless the configuration names another",
        ),
        (
            "/run/credvend/admin-*.link",
            "where a daemon says that its admin socket is, one for each configuration; in \
             $RUNTIME_DIRECTORY where that is set",
        ),
        (
            "/var/lib/credvend",
            "state, unless the configuration names another directory",
        ),
    ] {
        roff.control("TP", []);
        roff.text([roman(path)]);
        roff.text([roman(what)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_ends_with_exit_status_and_files() {
        let mut main = Arguments::command();
        main.build();
        for command in std::iter::once(&main).chain(main.get_subcommands()) {
            let text = String::from_utf8(page(command).unwrap()).unwrap();
            let exit_status = text.find(".SH \"EXIT STATUS\"").unwrap();
            let files = text.find(".SH FILES").unwrap();
            assert!(exit_status < files, "{}", command.get_name());
            assert!(text.contains(DEFAULT_CONFIG));
            assert!(text.contains("$CREDVEND_CONFIG"), "{text}");
        }
    }
}
