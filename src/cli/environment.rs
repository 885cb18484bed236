//! Which variables make a program's SDKs fetch, and keep fetching, from the daemon. Pure.
//!
//! Facts are those of the SDKs: which variable each reads, and what it takes first. One of a pair
//! is set and the other taken out, since the SDKs disagree about which of the two counts.
//! `http_proxy` is never set: it would lead every plain request of the program here.

mod outer;
mod rivals;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use zeroize::Zeroizing;

use super::locate::{Offer, Serving};
use super::question::Target;
use crate::config::model::Protocol;
use crate::credentials::Cloud;
use crate::name::Name;

/// What a program's environment is to be changed by. No `Debug`: it may hold secrets.
#[derive(Default)]
pub(super) struct Plan {
    /// In the order in which they are shown. May hold a token.
    pub(super) set: Vec<(&'static str, Zeroizing<String>)>,
    pub(super) unset: Vec<&'static str>,
    /// For people: what no variable can do.
    pub(super) comments: Vec<String>,
    /// The same where it will bite later and nobody looks at comments.
    pub(super) cautions: Vec<String>,
    /// Whether the role's own cloud has tools that find nothing that is kept fresh: what is left
    /// is a set as it is now.
    pub(super) needs_static: bool,
}

/// What a plan is made from, besides the configuration.
pub(super) struct Surroundings<'a> {
    /// Reads a token file; `None` if it cannot be read from here.
    pub(super) token: &'a dyn Fn(&Path) -> Option<Zeroizing<String>>,
    /// The present values of `NO_PROXY` and `no_proxy`.
    pub(super) no_proxy: [Option<String>; 2],
}

/// Where the clouds' own addresses are, on the port that clients have built in.
const TENCENT: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23))];
const HUAWEI: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254))];
const AWS: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
const ALIBABA: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// For the tools that cannot fetch. No `Debug`: it holds secrets.
pub(super) struct Static {
    pub(super) cloud: Cloud,
    /// As it is told.
    pub(super) ends: String,
    pub(super) variables: Vec<(&'static str, Zeroizing<String>)>,
}

/// The plan for one role.
pub(super) fn plan(role: &Name, offer: &Offer, around: &Surroundings<'_>) -> Plan {
    let mut making = Making {
        role,
        offer,
        around,
        plan: Plan::default(),
        hosts: Vec::new(),
    };
    making.aws();
    making.alibaba();
    match offer.cloud {
        Some(Cloud::Huawei) => making.huawei(),
        Some(Cloud::Tencent) => making.tencent(),
        None => {}
    }
    making.no_proxy();
    making.plan
}

impl Plan {
    /// Hands over a set as it is now. No other identity of its cloud stays beside it.
    pub(super) fn hand_over(&mut self, set: Static) {
        let Static {
            cloud,
            ends,
            variables,
        } = set;
        let is_set = |name: &&&str| variables.iter().any(|(it, _)| it == *name);
        let rivals = rivals::of(cloud).iter().filter(|name| !is_set(name));
        self.unset.extend(rivals);
        self.cautions.push(format!(
            "for the tools without a way to fetch: a set that ends at {ends} and is not renewed"
        ));
        self.set.extend(variables);
    }

    /// Everything will be fetched, and there is nothing yet.
    pub(super) fn start_early(&mut self, why: &str) {
        self.cautions
            .push(format!("there is nothing to fetch yet: {why}"));
    }

    /// There is no set now. What the environment held before is somebody else's all the same.
    pub(super) fn go_without(&mut self, cloud: Option<Cloud>, why: &str) {
        let clouds = Cloud::ALL
            .into_iter()
            .filter(|it| cloud.is_none_or(|cloud| cloud == *it));
        self.unset.extend(clouds.flat_map(rivals::of));
        self.cautions.push(format!(
            "for the tools without a way to fetch there is nothing now: {why}"
        ));
    }
}

struct Making<'a> {
    role: &'a Name,
    offer: &'a Offer,
    around: &'a Surroundings<'a>,
    plan: Plan,
    /// Addresses and names that must not be asked through a proxy.
    hosts: Vec<String>,
}

impl<'a> Making<'a> {
    fn aws(&mut self) {
        let container = self.with_token("aws-container");
        let instance = self.on_tcp("aws-imds", |it| it.is_first);
        if container.is_none() && instance.is_none() {
            let role = self.role;
            self.say(format!(
                "AWS SDKs and S3 tools: no listener serves `{role}` to them. Add one with \
                 `protocols = [\"aws-container\"]` and a `token`, or put `credential_process = \
                 credvend get {role} --format process` into a profile"
            ));
            return;
        }
        self.plan.unset.extend(rivals::AWS);
        self.plan.unset.extend([
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_EC2_METADATA_DISABLED",
        ]);
        if let Some((serving, address, token)) = container {
            let uri = format!("{}/aws/container/{}", self.url(address), self.role);
            self.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri);
            let token = token.display().to_string();
            self.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token);
            self.set_readable(serving);
        } else {
            self.plan.unset.extend([
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            ]);
        }
        if let Some((_, address)) = instance {
            self.plan
                .unset
                .push("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
            let endpoint = self.url(address);
            self.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint);
            // Without it several SDKs silently do without tokens after one failure.
            self.set("AWS_EC2_METADATA_V1_DISABLED", "true".to_owned());
            // One try of one second is what botocore would give us.
            self.set("AWS_METADATA_SERVICE_TIMEOUT", "2".to_owned());
            self.set("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3".to_owned());
        } else {
            // Nobody else's instance role may answer instead.
            self.plan
                .unset
                .retain(|name| *name != "AWS_EC2_METADATA_DISABLED");
            self.set("AWS_EC2_METADATA_DISABLED", "true".to_owned());
        }
        self.say(
            "AWS SDKs take a [default] profile in ~/.aws/credentials first, if there is one"
                .to_owned(),
        );
        if !self.is_built_in(Protocol::AwsImds, AWS) {
            self.say(
                "s3fs and s3cmd read no variable: they need a listener with `aws-imds` on \
                 169.254.169.254:80, or the sink `aws-credentials`"
                    .to_owned(),
            );
        }
    }

    fn alibaba(&mut self) {
        if let Some((serving, address, token)) = self.with_token("alibaba") {
            let Some(secret) = (self.around.token)(token) else {
                let name = &serving.name;
                self.plan.cautions.push(format!(
                    "Alibaba Cloud's SDKs: the token of listener `{name}` cannot be read from here"
                ));
                return;
            };
            let secret =
                percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC);
            let url = self.url(address);
            let uri = format!("{url}/alibaba/credentials/{secret}/{}", self.role);
            self.plan.unset.extend(rivals::ALIBABA);
            self.set("ALIBABA_CLOUD_CREDENTIALS_URI", uri);
            // Python's default chain asks the instance first.
            self.set("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true".to_owned());
        } else if self.is_built_in(Protocol::Alibaba, ALIBABA) {
            self.plan.unset.extend(rivals::ALIBABA);
            self.plan.unset.extend([
                "ALIBABA_CLOUD_CREDENTIALS_URI",
                "ALIBABA_CLOUD_ECS_METADATA_DISABLED",
            ]);
        }
    }

    fn huawei(&mut self) {
        let container = self.with_token("huawei-container");
        let built_in = self.is_built_in(Protocol::Huawei, HUAWEI);
        if container.is_none() && !built_in {
            self.say(format!(
                "Huawei Cloud's SDKs: no listener serves `{}` to them. Add one with `protocols = \
                 [\"huawei-container\"]` and a `token`",
                self.role
            ));
            self.plan.needs_static = true;
            return;
        }
        self.plan.unset.extend(rivals::of(Cloud::Huawei));
        if let Some((serving, address, token)) = container {
            let uri = format!("{}/huawei/container/{}", self.url(address), self.role);
            self.plan.unset.push("HC_CONTAINER_AUTHORIZATION_TOKEN");
            self.set("HC_CONTAINER_CREDENTIALS_FULL_URI", uri);
            let token = token.display().to_string();
            self.set("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", token);
            self.set_readable(serving);
        }
        if !built_in {
            self.say(
                "Huawei Cloud's SDK for Java and the OBS SDKs read no variable: they need a \
                 listener with `huawei` on 169.254.169.254:80"
                    .to_owned(),
            );
        }
        self.say("Terraform: the sink `env-file`, or `credvend get --format env`".to_owned());
    }

    fn tencent(&mut self) {
        if self.is_built_in(Protocol::Tencent, TENCENT) {
            self.plan.unset.extend(rivals::of(Cloud::Tencent));
            return;
        }
        self.say(
            "Tencent Cloud's SDKs, `tccli --use-cvm-role` and the COS SDKs read no variable: they \
             need a listener with `tencent` on 169.254.0.23:80 and `169.254.0.23 \
             metadata.tencentyun.com` in /etc/hosts; tccli and Terraform can have the sink \
             `tccli-profile`"
                .to_owned(),
        );
        self.plan.needs_static = true;
    }

    /// Added to what is there, in both spellings.
    fn no_proxy(&mut self) {
        if self.hosts.is_empty() {
            return;
        }
        for (name, before) in ["NO_PROXY", "no_proxy"]
            .into_iter()
            .zip(&self.around.no_proxy)
        {
            let mut entries: Vec<String> = before
                .iter()
                .flat_map(|list| list.split(','))
                .map(|entry| entry.trim().to_owned())
                .filter(|entry| !entry.is_empty())
                .collect();
            for host in &self.hosts {
                if !entries.contains(host) {
                    entries.push(host.clone());
                }
            }
            self.plan
                .set
                .push((name, Zeroizing::new(entries.join(","))));
        }
    }

    fn set(&mut self, name: &'static str, value: String) {
        self.plan.set.push((name, Zeroizing::new(value)));
    }

    fn say(&mut self, comment: String) {
        self.plan.comments.push(comment);
    }

    /// A program that cannot read the token finds out late, from an SDK.
    fn set_readable(&mut self, serving: &Serving) {
        let Some(path) = &serving.token else { return };
        if (self.around.token)(path).is_none() {
            let (name, path) = (&serving.name, path.display());
            let caution =
                format!("the token of listener `{name}` cannot be read from here: {path}");
            if !self.plan.cautions.contains(&caution) {
                self.plan.cautions.push(caution);
            }
        }
    }

    /// `http://` and the address, which is remembered for `NO_PROXY`.
    fn url(&mut self, address: SocketAddr) -> String {
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        self.never_by_proxy(ip.to_string());
        format!("http://{}", SocketAddr::new(ip, address.port()))
    }

    /// A listener of this protocol on TCP; 127.0.0.1 before others, as some SDKs take no other.
    fn on_tcp(
        &self,
        protocol: &str,
        fits: impl Fn(&Serving) -> bool,
    ) -> Option<(&'a Serving, SocketAddr)> {
        let offer = self.offer;
        let mut found: Vec<_> = offer
            .servings
            .iter()
            .filter(|it| it.protocols.contains(protocol) && fits(it))
            .filter_map(|it| match &it.target {
                Target::Tcp(address) => Some((it, *address)),
                Target::Unix(_) => None,
            })
            .collect();
        found.sort_by_key(|(_, address)| address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST));
        found.into_iter().next()
    }

    fn with_token(&self, protocol: &str) -> Option<(&'a Serving, SocketAddr, &'a Path)> {
        let (serving, address) = self.on_tcp(protocol, |it| it.token.is_some())?;
        Some((serving, address, serving.token.as_deref()?))
    }

    fn never_by_proxy(&mut self, host: String) {
        if !self.hosts.contains(&host) {
            self.hosts.push(host);
        }
    }

    /// Whether clients without any setting find this role. They would ask a proxy for it.
    fn is_built_in(&mut self, protocol: Protocol, addresses: &[IpAddr]) -> bool {
        let on = |address: &SocketAddr| addresses.contains(&address.ip()) && address.port() == 80;
        let is_there = self.offer.servings.iter().any(|it| {
            it.is_first
                && it.protocols.contains(protocol.as_str())
                && matches!(&it.target, Target::Tcp(address) if on(address))
        });
        if is_there {
            for host in protocol.emulated_hosts() {
                self.never_by_proxy((*host).to_owned());
            }
        }
        is_there
    }
}

#[cfg(test)]
mod tests;
