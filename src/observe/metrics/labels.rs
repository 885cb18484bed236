//! The labels of every family.

use prometheus_client::encoding::EncodeLabelSet;

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($field:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
        pub struct $name { $(pub $field: String),+ }
    };
}

labels!(
    /// `{role}`
    RoleLabels { role }
);
labels!(
    /// `{login}`
    LoginLabels { login }
);
labels!(
    /// `{role,result}`: result is `success` or the class of the failure.
    RefreshLabels { role, result }
);
labels!(
    /// `{listener}`
    ListenerLabels { listener }
);
labels!(
    /// `{listener,protocol,code}`
    RequestLabels { listener, protocol, code }
);
labels!(
    /// `{listener,reason}`: reason is `peer`, `host`, `header`, `token`, `request`, `limit` …
    DeniedLabels { listener, reason }
);
labels!(
    /// `{sink}`
    SinkLabels { sink }
);
labels!(
    /// `{endpoint,action,result}`
    UpstreamLabels { endpoint, action, result }
);
labels!(
    /// `{endpoint}`
    EndpointLabels { endpoint }
);
