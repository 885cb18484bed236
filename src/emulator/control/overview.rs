//! What there is in the emulated world, each cloud's as that cloud names it.

use serde_json::{Value, json};

use super::additions::Of;
use crate::emulator::state::State;
use crate::emulator::world::{Trusted, World};

/// Tencent Cloud's, with Huawei Cloud's beside it.
pub(super) fn world(state: &State) -> Value {
    let of = |cloud: Of| cloud.with_world(state, |world| of_one(cloud, world));
    let mut overview = of(Of::Tencent);
    if let Value::Object(members) = &mut overview {
        members.insert("huawei".to_owned(), of(Of::Huawei));
    }
    overview
}

/// Everything but the secrets.
fn of_one(cloud: Of, world: &World) -> Value {
    let keys = world
        .keys()
        .map(|key| json!({ "id": key.id, "account": key.account, "uin": key.uin }));
    let roles = world.roles().map(|role| {
        let trust: Vec<String> = role.trust.iter().map(Trusted::to_string).collect();
        let (called, its_name) = cloud.role(role);
        json!({
            "account": role.account,
            "name": role.name,
            "id": role.id,
            called: its_name,
            "max_session_seconds": role.max_session.as_secs(),
            "trust": trust,
            "external_id": role.external_id,
        })
    });
    let oidc = world.oidc_providers().map(|provider| {
        json!({
            "kind": "oidc",
            "account": provider.account,
            "name": provider.name,
            "issuer": provider.issuer,
            "audiences": provider.audiences,
            "subjects": provider.subjects,
        })
    });
    let saml = world.saml_providers().map(|provider| {
        let (called, its_name) = cloud.saml_provider(provider);
        json!({
            "kind": "saml",
            "account": provider.account,
            "name": provider.name,
            called: its_name,
            "issuer": provider.issuer,
        })
    });
    let instance = world.instance.as_ref().map(|instance| {
        json!({
            "account": instance.account,
            "role": instance.role,
            "session_seconds": instance.session.as_secs(),
        })
    });
    json!({
        "keys": keys.collect::<Vec<_>>(),
        "roles": roles.collect::<Vec<_>>(),
        "providers": oidc.chain(saml).collect::<Vec<_>>(),
        "instance": instance,
    })
}
