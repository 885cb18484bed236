//! One `exec` in another, or after `env`: what the outer one has set is another role's.
//!
//! Each says in a variable what it sets, so that the next takes out exactly that. Of an outer one
//! whose word was lost on the way, the addresses show that they are ours.

use zeroize::Zeroizing;

use super::{Plan, rivals};
use crate::credentials::Cloud;

/// The names of what was set, with spaces between.
const MARK: &str = "CREDVEND_VARIABLES";

/// What leads to a listener, besides the static keys of each cloud.
const LEADING: [&str; 11] = [
    "ALIBABA_CLOUD_CREDENTIALS_URI",
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_V1_DISABLED",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "HC_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Those whose values show whose they are, and how.
const TELLING: [(&str, &str); 3] = [
    ("ALIBABA_CLOUD_CREDENTIALS_URI", "/alibaba/credentials/"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/aws/container/"),
    ("HC_CONTAINER_CREDENTIALS_FULL_URI", "/huawei/container/"),
];

impl Plan {
    /// Takes out what an outer plan has set and this one does not, and says what this one sets.
    /// `variable` is the environment around.
    pub(in crate::cli) fn replace_outer(&mut self, variable: &dyn Fn(&str) -> Option<String>) {
        let mark = variable(MARK);
        let marked: Vec<&str> = mark.iter().flat_map(|it| it.split(' ')).collect();
        let shows = |name: &str| {
            TELLING.iter().any(|(telling, part)| {
                *telling == name && variable(name).is_some_and(|value| value.contains(part))
            })
        };
        let all = LEADING
            .into_iter()
            .chain(Cloud::ALL.into_iter().flat_map(rivals::of).copied());
        for name in all {
            let is_handled =
                self.unset.contains(&name) || self.set.iter().any(|(it, _)| *it == name);
            if !is_handled && (marked.contains(&name) || shows(name)) {
                self.unset.push(name);
            }
        }
        let own: Vec<&str> = self
            .set
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !name.eq_ignore_ascii_case("no_proxy"))
            .collect();
        if !own.is_empty() {
            self.set.push((MARK, Zeroizing::new(own.join(" "))));
        } else if mark.is_some() {
            self.unset.push(MARK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(set: &[&'static str], unset: &[&'static str]) -> Plan {
        Plan {
            set: set
                .iter()
                .map(|name| (*name, Zeroizing::new("x".to_owned())))
                .collect(),
            unset: unset.to_vec(),
            ..Plan::default()
        }
    }

    #[test]
    fn of_an_outer_role_nothing_is_left() {
        let around = |name: &str| match name {
            MARK => Some(
                "AWS_EC2_METADATA_DISABLED TENCENTCLOUD_SECRET_ID HW_ACCESS_KEY PATH".to_owned(),
            ),
            "HC_CONTAINER_CREDENTIALS_FULL_URI" => {
                Some("http://127.0.0.1:1/huawei/container/a".to_owned())
            }
            "AWS_CONTAINER_CREDENTIALS_FULL_URI" => Some("http://169.254.170.23/v1".to_owned()),
            _ => None,
        };
        let mut inner = plan(&["HW_ACCESS_KEY", "NO_PROXY"], &["TENCENTCLOUD_SECRET_ID"]);
        inner.replace_outer(&around);
        assert_eq!(
            inner.unset,
            [
                "TENCENTCLOUD_SECRET_ID",
                "AWS_EC2_METADATA_DISABLED",
                "HC_CONTAINER_CREDENTIALS_FULL_URI",
            ],
            "neither twice, nor what is somebody else's"
        );
        let (name, value) = inner.set.last().unwrap();
        assert_eq!((*name, value.as_str()), (MARK, "HW_ACCESS_KEY"));
        let mut nothing = plan(&[], &[]);
        nothing.replace_outer(&|name| (name == MARK).then(String::new));
        assert_eq!((nothing.set.len(), nothing.unset), (0, vec![MARK]));
    }
}
