//! What is behind a login, as a table and as roles to paste.

use std::collections::BTreeSet;

use super::layout::{Cell, Layout, plain};
use super::output;
use crate::admin::api::{ListedAccount, LoginListing};

/// For people, or with tabs for programs.
pub(super) fn as_table(listing: &LoginListing, layout: Layout) -> String {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for account in &listing.accounts {
        let of_account = |set: &str, description: &str| {
            [&account.id, &account.name, set, description]
                .map(plain)
                .to_vec()
        };
        if account.permission_sets.is_empty() {
            rows.push(of_account("(none)", ""));
        }
        for set in &account.permission_sets {
            rows.push(of_account(&set.name, &set.description));
        }
    }
    layout(&["ACCOUNT", "NAME", "PERMISSION SET", "DESCRIPTION"], &rows)
}

/// Roles ready to paste, each with a name made of the account's and the permission set's.
pub(super) fn as_toml(listing: &LoginListing) -> String {
    let mut taken = BTreeSet::new();
    let mut text = String::new();
    for account in &listing.accounts {
        for set in &account.permission_sets {
            let name = unused_name(account, &set.name, &mut taken);
            let kind = output::printable(&listing.provider);
            output::append(
                &mut text,
                format_args!(
                    "[role.{name}.provider.{kind}]\nlogin = {}\naccount-id = {}\n\
                     permission-set = {}\n\n",
                    quoted(&listing.login),
                    quoted(&account.id),
                    quoted(&set.name)
                ),
            );
        }
    }
    text
}

/// A name that TOML takes without quotes, and that is a role's name.
fn unused_name(account: &ListedAccount, set: &str, taken: &mut BTreeSet<String>) -> String {
    let from = if account.name.is_empty() {
        &account.id
    } else {
        &account.name
    };
    let plain: String = format!("{from}-{set}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let plain: String = words.join("-").chars().take(56).collect();
    let plain = if plain.is_empty() {
        "role".to_owned()
    } else {
        plain
    };
    let mut name = plain.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{plain}-{count}");
    }
    name
}

/// A TOML string that shows all that is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ if character.is_alphanumeric() => quoted.push(character),
            _ => output::append(&mut quoted, format_args!("\\U{:08X}", u32::from(character))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::ListedPermissionSet;
    use crate::cli::layout::{aligned, separated};

    fn listing() -> LoginListing {
        let set = |name: &str| ListedPermissionSet {
            name: name.into(),
            description: "may\u{1b}[2J read".into(),
        };
        LoginListing {
            version: 1,
            login: "corp".into(),
            provider: "huawei-identity-center".into(),
            accounts: vec![
                ListedAccount {
                    id: "0001".into(),
                    name: "Dev \"Team\"".into(),
                    permission_sets: vec![set("Admin"), set("admin")],
                },
                ListedAccount {
                    id: "0002".into(),
                    name: String::new(),
                    permission_sets: vec![],
                },
            ],
        }
    }

    #[test]
    fn the_list_is_aligned_and_steers_nothing() {
        let shown = as_table(&listing(), aligned);
        assert_eq!(
            anstream::adapter::strip_str(&shown).to_string(),
            "ACCOUNT  NAME        PERMISSION SET  DESCRIPTION\n\
             0001     Dev \"Team\"  Admin           may\\u{1b}[2J read\n\
             0001     Dev \"Team\"  admin           may\\u{1b}[2J read\n\
             0002                 (none)\n"
        );
    }

    #[test]
    fn off_a_terminal_the_list_has_tabs() {
        assert_eq!(
            as_table(&listing(), separated).lines().next_back(),
            Some("0002\t\t(none)\t")
        );
    }

    #[test]
    fn what_is_to_be_pasted_holds_nothing_that_is_not_seen() {
        let name = "a\"\\\u{202e}\u{1b}[2J\n[role.x]\u{2028}é权";
        let text = quoted(name);
        assert_eq!(
            text,
            "\"a\\\"\\\\\\U0000202E\\U0000001B[2J\\U0000000A[role.x]\\U00002028é权\""
        );
        let parsed: toml::Table = format!("a = {text}").parse().unwrap();
        assert_eq!(parsed["a"].as_str(), Some(name));
    }

    #[test]
    fn what_is_to_be_pasted_is_toml_with_names_of_its_own() {
        let text = as_toml(&listing());
        let parsed: toml::Table = text.parse().unwrap();
        let roles = parsed["role"].as_table().unwrap();
        let names: Vec<&str> = roles.keys().map(String::as_str).collect();
        assert_eq!(names, ["dev-team-admin", "dev-team-admin-2"]);
        let provider = &roles["dev-team-admin-2"]["provider"]["huawei-identity-center"];
        assert_eq!(provider["permission-set"].as_str(), Some("admin"));
        assert_eq!(provider["account-id"].as_str(), Some("0001"));
    }
}
