//! `env` and `exec`: a program's environment, printed or set.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use zeroize::Zeroizing;

use super::args::{Env, Exec as Arguments, From};
use super::environment::{Plan, Static, Surroundings, plan};
use super::exit::{Exit, Failure};
use super::get_formats::Served;
use super::locate::{Offer, offer};
use super::vending::{Held, ask_once};
use super::{block_on, output, peer};
use crate::clock::rfc3339_seconds;
use crate::formats::env::shell_word;
use crate::name::Name;

/// Prints the environment as lines for a shell.
pub(super) fn print(config: &Path, arguments: &Env) -> Result<Exit, Failure> {
    let plan = make(config, &arguments.from, &arguments.role)?;
    output::bytes(lines(&plan).as_bytes())?;
    Ok(Exit::Fine)
}

/// Runs the program in this one's place: it gets every signal itself, and its exit status is
/// seen by whoever started this.
pub(super) fn exec(config: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    let plan = make(config, &arguments.from, &arguments.role)?;
    for caution in &plan.cautions {
        output::message(&output::printable(caution).replace('\n', " "));
    }
    let (program, words) = arguments
        .command
        .split_first()
        .ok_or_else(|| Failure::new(Exit::Usage, "name a program to run"))?;
    let mut command = Command::new(program);
    command.args(words);
    for name in &plan.unset {
        command.env_remove(name);
    }
    for (name, value) in &plan.set {
        command.env(name, value.as_str());
    }
    let error = command.exec(); // returns only if it failed
    let code = if error.kind() == ErrorKind::NotFound {
        Exit::Usage
    } else if error.kind() == ErrorKind::PermissionDenied {
        Exit::NotAllowed
    } else {
        Exit::Unavailable
    };
    let shown = output::printable(&program.to_string_lossy());
    Err(Failure::new(code, format!("cannot run `{shown}`: {error}")))
}

fn make(config: &Path, from: &From, role: &Name) -> Result<Plan, Failure> {
    let offer = match (offer(config, role.as_str()), &from.socket) {
        (Ok(offer), _) => offer,
        // Whoever names a socket need not be able to read the configuration.
        (Err(failure), Some(_)) if failure.exit == Exit::Misconfigured => Offer::default(),
        (Err(failure), _) => return Err(failure),
    };
    let variable = |name: &str| std::env::var(name).ok();
    let around = Surroundings {
        token: &|path: &Path| {
            let token = peer::token(path, None).ok()?;
            str::from_utf8(&token).ok().map(|it| it.to_owned().into())
        },
        no_proxy: [variable("NO_PROXY"), variable("no_proxy")],
    };
    let mut plan = plan(role, &offer, &around);
    // Without a configuration nothing else is known to fetch by itself.
    let needs_static = plan.needs_static || offer.cloud.is_none();
    if from.socket.is_some() || offer.is_native() {
        // Whoever is not let in, or finds nobody, hears it now and not from an SDK later.
        match block_on(ask_once(config, from, role))? {
            Held::Set(served) if needs_static => plan.hand_over(as_it_is(&served)),
            Held::Set(_) => {}
            Held::Nothing(failure) if needs_static => return Err(failure),
            Held::Nothing(failure) => plan.start_early(&failure.message),
        }
    } else if needs_static {
        match block_on(ask_once(config, from, role)) {
            Err(failure) if !plan.set.is_empty() => {
                plan.go_without(offer.cloud, &failure.message);
            }
            Err(failure) | Ok(Held::Nothing(failure)) => return Err(failure),
            Ok(Held::Set(served)) => plan.hand_over(as_it_is(&served)),
        }
    }
    plan.replace_outer(&variable);
    Ok(plan)
}

fn as_it_is(served: &Served) -> Static {
    Static {
        cloud: served.cloud(),
        ends: rfc3339_seconds(served.expires_at()),
        variables: served.variables(),
    }
}

/// What is taken out, what is set, and what no variable can do.
fn lines(plan: &Plan) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    for name in &plan.unset {
        output::append(&mut text, format_args!("unset {name}\n"));
    }
    for (name, value) in &plan.set {
        let value = shell_word(value);
        output::append(
            &mut text,
            format_args!("export {name}={}\n", value.as_str()),
        );
    }
    for comment in plan.comments.iter().chain(&plan.cautions) {
        let comment = output::printable(comment).replace('\n', " ");
        output::append(&mut text, format_args!("# {comment}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Plan, lines};

    #[test]
    fn lines_are_a_shells() {
        let plan = Plan {
            set: vec![
                ("A", "it's".to_owned().into()),
                ("B", "b".to_owned().into()),
            ],
            unset: vec!["C"],
            comments: vec!["two\nlines".to_owned()],
            cautions: vec!["at last".to_owned()],
            needs_static: false,
        };
        assert_eq!(
            *lines(&plan),
            "unset C\nexport A='it'\\''s'\nexport B=b\n# two lines\n# at last\n"
        );
    }
}
