//! The listeners of a role, as far as a command needs to know: those that serve it natively, and
//! all there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::exit::{Exit, Failure};
use super::question::Target;
use super::{reach, written};
use crate::config::model::Protocol;
use crate::credentials::Cloud;

/// A listener that serves a role natively.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Access {
    pub(super) target: Target,
    /// The file of the token that it may ask for.
    pub(super) token: Option<PathBuf>,
    /// The configuration, and the files it names that tell who the daemon may be.
    pub(super) marks: Vec<PathBuf>,
}

/// The listeners that serve this role natively; Unix sockets first, as they are cheaper and
/// need no token.
pub(super) fn native_listeners(config: &Path, role: &str) -> Result<Vec<Access>, Failure> {
    let files = written::all(config).map_err(|failure| {
        failure.hint("`--socket PATH` names a listener's socket without the configuration")
    })?;
    let mut found = choose(&files, role).map_err(|nothing| nothing.into_failure(config, role))?;
    for access in &mut found {
        let marks = std::iter::once(config.to_owned()).chain(reach::admin_sockets(config));
        access.marks = marks.chain(access.token.clone()).collect();
    }
    Ok(found)
}

/// A listener that serves a role, in whatever format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Serving {
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) token: Option<PathBuf>,
    /// As written in the configuration, or its defaults.
    pub(super) protocols: BTreeSet<String>,
    /// Whether the role is "the instance role" there.
    pub(super) is_first: bool,
}

/// What the configuration says of a role, as far as its clients are concerned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Offer {
    /// `None` if the files do not tell.
    pub(super) cloud: Option<Cloud>,
    pub(super) servings: Vec<Serving>,
}

impl Offer {
    /// Whether somebody can be asked how the role stands.
    pub(super) fn is_native(&self) -> bool {
        self.servings.iter().any(Serving::is_native)
    }
}

impl Serving {
    fn is_native(&self) -> bool {
        self.protocols.contains(Protocol::Native.as_str())
    }
}

/// Everything that serves this role.
pub(super) fn offer(config: &Path, role: &str) -> Result<Offer, Failure> {
    let files = written::all(config)?;
    find_offer(&files, role).map_err(|nothing| nothing.into_failure(config, role))
}

fn find_offer(files: &[Table], role: &str) -> Result<Offer, Nothing> {
    let tables = |name: &'static str| {
        files
            .iter()
            .filter_map(move |file| file.get(name)?.as_table())
            .flatten()
    };
    let cloud = |wanted: &str| {
        let (_, table) = tables("role").find(|(name, _)| *name == wanted)?;
        cloud_of(table)
    };
    let mut offer = Offer {
        cloud: cloud(role),
        servings: Vec::new(),
    };
    let mut known: BTreeSet<String> = tables("role").map(|(name, _)| name.clone()).collect();
    for (name, listener) in tables("listener") {
        let roles = strings(listener.get("roles"));
        known.extend(roles.iter().map(|&name| name.to_owned()));
        let Some(access) = access(listener).filter(|_| roles.contains(&role)) else {
            continue;
        };
        // The metadata protocol of a cloud has the cloud's name; it never leaves this host.
        let is_remote = listener.get("allow-remote").and_then(Value::as_bool) == Some(true);
        let usual = roles
            .iter()
            .filter_map(|role| cloud(role))
            .filter(|_| !is_remote);
        let usual = usual.map(|cloud| cloud.as_str().to_owned());
        let protocols = match listener.get("protocols") {
            None => usual.chain(["native".to_owned()]).collect(),
            chosen => strings(chosen).into_iter().map(str::to_owned).collect(),
        };
        offer.servings.push(Serving {
            name: name.clone(),
            target: access.target,
            token: access.token,
            protocols,
            is_first: roles.first() == Some(&role),
        });
    }
    if known.contains(role) {
        Ok(offer)
    } else {
        Err(Nothing::NoSuchRole(known))
    }
}

/// A provider's kind begins with the cloud's name, unless it is a program for any cloud.
fn cloud_of(role: &Value) -> Option<Cloud> {
    let (kind, provider) = role.get("provider")?.as_table()?.iter().next()?;
    let name = match kind.as_str() {
        "command" => provider.get("cloud")?.as_str()?,
        kind => kind.split('-').next()?,
    };
    Cloud::ALL.into_iter().find(|cloud| cloud.as_str() == name)
}

#[derive(Debug, Eq, PartialEq)]
enum Nothing {
    /// The known roles, to choose from.
    NoSuchRole(BTreeSet<String>),
    NotNative,
}

impl Nothing {
    fn into_failure(self, config: &Path, role: &str) -> Failure {
        let file = config.display();
        match self {
            Self::NoSuchRole(known) if known.is_empty() => {
                Failure::new(Exit::Usage, format!("there is no role in {file}"))
            }
            Self::NoSuchRole(known) => {
                let known = known.into_iter().collect::<Vec<_>>().join("`, `");
                Failure::new(Exit::Usage, format!("there is no role `{role}` in {file}"))
                    .hint(format!("there is `{known}`"))
            }
            Self::NotNative => Failure::new(
                Exit::Misconfigured,
                format!("no listener in {file} serves the role `{role}` natively"),
            )
            .hint(format!(
                "name `{role}` in the `roles` and \"native\" in the `protocols` of a listener"
            )),
        }
    }
}

fn choose(files: &[Table], role: &str) -> Result<Vec<Access>, Nothing> {
    let offer = find_offer(files, role)?;
    let natively = offer.servings.into_iter().filter(Serving::is_native);
    let mut found: Vec<Access> = natively
        .map(|serving| Access {
            target: serving.target,
            token: serving.token,
            marks: Vec::new(),
        })
        .collect();
    if found.is_empty() {
        return Err(Nothing::NotNative);
    }
    found.sort_by_key(|access| matches!(access.target, Target::Tcp(_)));
    Ok(found)
}

fn access(listener: &Value) -> Option<Access> {
    let address = listener.get("address")?.as_str()?;
    let target = match address.strip_prefix("unix:") {
        Some(path) => Target::Unix(path.into()),
        None => Target::Tcp(address.parse().ok()?),
    };
    let token = listener.get("token").and_then(Value::as_str);
    Some(Access {
        target,
        token: token
            .and_then(|it| it.strip_prefix("file:"))
            .map(Into::into),
        marks: Vec::new(),
    })
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [role.app]
        [role.lonely]
        [listener.metadata]
        address = "127.0.0.1:9470"
        protocols = ["tencent"]
        roles = ["app"]
        [listener.tasks]
        address = "127.0.0.1:9472"
        protocols = ["aws-container", "native"]
        roles = ["app"]
        token = "file:/run/credvend/tasks.token"
        [listener.app]
        address = "unix:/run/credvend/app.sock"
        roles = ["other", "app"]
        mode = "a mistake that is of no concern here"
    "#;

    #[test]
    fn unix_sockets_come_first_and_tokens_are_known() {
        let files = [CONFIG.parse().unwrap()];
        assert_eq!(
            choose(&files, "app").unwrap(),
            [
                Access {
                    target: Target::Unix("/run/credvend/app.sock".into()),
                    token: None,
                    marks: vec![]
                },
                Access {
                    target: Target::Tcp("127.0.0.1:9472".parse().unwrap()),
                    token: Some("/run/credvend/tasks.token".into()),
                    marks: vec![]
                },
            ]
        );
    }

    #[test]
    fn an_unknown_role_is_told_from_one_that_nobody_serves() {
        let files = [CONFIG.parse().unwrap()];
        assert_eq!(choose(&files, "lonely"), Err(Nothing::NotNative));
        let known = ["app", "lonely", "other"].map(str::to_owned).into();
        assert_eq!(choose(&files, "nobody"), Err(Nothing::NoSuchRole(known)));
    }

    #[test]
    fn an_offer_has_every_listener_of_a_role() {
        let roles = r#"
            [role.app.provider.command]
            command = ["/bin/true"]
            cloud = "huawei"
            [role.hw.provider.tencent-assume-role]
        "#;
        let text = CONFIG.replace("[role.app]\n", "");
        let files = [text.parse().unwrap(), roles.parse().unwrap()];
        let offer = find_offer(&files, "app").unwrap();
        assert_eq!(offer.cloud, Some(Cloud::Huawei));
        let names: Vec<_> = offer.servings.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["app", "metadata", "tasks"]);
        let first: Vec<_> = offer.servings.iter().map(|it| it.is_first).collect();
        assert_eq!(first, [false, true, true]);
        let usual = ["huawei".to_owned(), "native".to_owned()].into();
        assert_eq!(offer.servings[0].protocols, usual);
        assert_eq!(find_offer(&files, "hw").unwrap().servings, []);
        assert!(find_offer(&files, "nobody").is_err());
    }

    #[test]
    fn metadata_never_leaves_the_host_and_so_is_no_offer() {
        let text = r#"
            [role.app.provider.tencent-assume-role]
            [listener.far]
            address = "10.0.0.1:9470"
            roles = ["app"]
            allow-remote = true
            [listener.near]
            address = "127.0.0.1:9470"
            roles = ["app"]
        "#;
        let offer = find_offer(&[text.parse().unwrap()], "app").unwrap();
        let protocols: Vec<Vec<&str>> = offer
            .servings
            .iter()
            .map(|it| it.protocols.iter().map(String::as_str).collect())
            .collect();
        assert_eq!(protocols, [vec!["native"], vec!["native", "tencent"]]);
    }
}
